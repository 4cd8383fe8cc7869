"""Fired alerts as a chart or a feed shows them, and the prices at which alerts will fire."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, Engine

from coinwatch.alerts.rules import Direction, Kind, Metric
from coinwatch.database import fetch_rows, transaction
from coinwatch.time_range import TimeRange

MAX_SHOWN = 200
FEED_PERIOD = timedelta(days=30)
FEED_ENTRIES = 50


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """An alert that fired at a value, ``price``, observed at ``observed_at``, and its rule; without whose it is.

    The fields have the meaning and units of ``Rule`` and of the table ``alerts``.
    """

    observed_at: datetime
    price: float
    reference: float
    reference_at: datetime | None
    change_percent: float
    steps: int | None
    kind: Kind
    metric: Metric
    direction: Direction
    threshold: float
    window_seconds: int
    ladder_percent: float | None
    exchange: str
    base: str
    quote: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AlertLevel:
    """A price at which an alert fires next; the next step of a ladder that has fired before, if ``is_step``."""

    value: float
    direction: Direction
    is_step: bool


def read_own_levels(connection: Connection, user_id: int, instrument_id: int) -> list[AlertLevel]:
    """The prices at which a user's active alerts on an instrument fire next, lowest first.

    Rules that compare with an earlier or average price have none.
    """
    parameters = {"user_id": user_id, "instrument_id": instrument_id}
    return fetch_rows(connection, "alerts/fired/select_levels", parameters, AlertLevel)


def read_own_alerts(
    connection: Connection, user_id: int, instrument_id: int, time_range: TimeRange
) -> list[FiredAlert]:
    """A user's alerts on an instrument that fired in a time range, newest first, at most MAX_SHOWN."""
    parameters = {
        "user_id": user_id,
        "instrument_id": instrument_id,
        "start": time_range.start,
        "end": time_range.end,
        "limit": MAX_SHOWN,
    }
    return fetch_rows(connection, "alerts/fired/select_own", parameters, FiredAlert)


def read_index_alerts(engine: Engine, base: str, now: datetime) -> list[FiredAlert]:
    """What fired on a coin's index in the last 30 days, newest first, at most FEED_ENTRIES.

    Reads all alerts of that time: callers cache the result. Raises DatabaseError.
    """
    parameters = {"base": base, "since": now - FEED_PERIOD, "limit": FEED_ENTRIES}
    with transaction(engine) as connection:
        return fetch_rows(connection, "alerts/fired/select_on_index", parameters, FiredAlert)


def direction_of(alert: FiredAlert) -> Literal["up", "down"]:
    """Whether the value rose or fell."""
    return "up" if alert.change_percent > 0 else "down"
