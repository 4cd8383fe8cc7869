"""The alerts that have fired, for all subscriptions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from coinwatch.alerts.rules import Direction, Kind, Metric
from coinwatch.database import fetch_rows, transaction


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """One firing of a subscription.

    ``price`` is the price or 24 h volume that fired it, ``reference`` what it was compared with (``reference_at`` is
    None for an average). ``late``: evaluated too late for an email of its own. ``state`` is new, held, notified or
    dropped.
    """

    id: int
    subscription_id: int
    exchange: str
    coin: str
    quote: str
    kind: Kind
    metric: Metric
    direction: Direction
    observed_at: datetime
    price: float
    reference: float
    reference_at: datetime | None
    change_percent: float
    late: bool
    state: str
    created_at: datetime


def list_fired_alerts(
    engine: Engine,
    *,
    limit: int,
    before_id: int | None = None,
    subscription_id: int | None = None,
    coin: str | None = None,
    exchange: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[FiredAlert]:
    """At most ``limit`` fired alerts, newest first: those with ids below ``before_id``, and that match the filters.

    ``coin`` is a code or name, ``exchange`` a code; the time of the price is in ``[start, end)``.
    """
    parameters = {
        "limit": limit,
        "before_id": before_id,
        "subscription_id": subscription_id,
        "coin": coin and coin.strip(),
        "exchange": exchange and exchange.strip(),
        "start": start,
        "end": end,
    }
    with transaction(engine) as connection:
        return fetch_rows(connection, "alerts/select_fired_alerts", parameters, FiredAlert)
