"""Tests how often a rule would have fired, with the evaluation's own statements on stored history.

The backtest runs in a transaction that is rolled back, in which temporary tables hide the real ones: one subscription
with the rule, a watermark at the start, and an empty table of alerts. If the time range starts before the first stored
price, a view named ``prices`` adds the closes of minute candles. While it evaluates, the transaction is read-only, so
that Postgres only allows writes to temporary tables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from coinwatch.alerts.evaluation import SLACK, create_temporary_tables, evaluate_range
from coinwatch.alerts.extremes import SIGNS
from coinwatch.alerts.rules import Rule, check_rule
from coinwatch.database import statement, transaction, unprepared
from coinwatch.errors import InvalidRequest
from coinwatch.prices.catalog import INDEX, find_instrument

MAX_RANGE = timedelta(days=5 * 366)
WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class PastAlert:
    """An alert that would have fired: the value and what it was compared with, in the units of ``Rule``.

    ``steps`` is how many steps of a ladder further the value was than at the alert before; None for other alerts.
    """

    observed_at: datetime
    price: float
    reference: float
    reference_at: datetime | None
    change_percent: float
    steps: int | None


@dataclass(frozen=True, slots=True)
class Backtest:
    """The alerts a rule would have fired in (``start``, ``end``], oldest first.

    ``quotes`` is the number of values evaluated, the first of them observed at ``first_at`` (None if there is no
    history). ``known_from`` is when the history begins that the values are compared with, which may be before
    ``start``. Before ``minutes_before`` the values are closes of minute candles; None means that all are prices.
    """

    exchange: str
    base: str
    quote: str
    start: datetime
    end: datetime
    quotes: int
    alerts: list[PastAlert]
    minutes_before: datetime | None = None
    first_at: datetime | None = None
    known_from: datetime | None = None

    @property
    def history(self) -> timedelta:
        """The length of the available history; zero if there is none."""
        return self.end - (self.first_at or self.end)

    @property
    def per_week(self) -> float | None:
        """Alerts per week since the first value; None if that is less than a week ago."""
        return len(self.alerts) / (self.history / WEEK) if self.history >= WEEK else None


def backtest(
    engine: Engine,
    rule: Rule,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    start: datetime,
    end: datetime,
    statement_limit: timedelta = timedelta(0),
) -> Backtest:
    """Evaluate a rule on the values observed in (``start``, ``end``].

    The instrument is chosen as by ``find_instrument``. Raises NotFound, InvalidRequest for an invalid rule or time
    range, and QueryTimeout if a statement takes longer than ``statement_limit`` (0: no limit).
    """
    check_rule(rule, start)
    _check_range(start, end)
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        _limit_statements(connection, statement_limit)
        query = statement("alerts/backtest/select_first_price")
        row = connection.execute(query, {"instrument_id": instrument.instrument_id}).one_or_none()
    first_price_at = _first_price_at(row, end)
    oldest = start - _reference_age(rule)
    subject = {
        "instrument_id": instrument.instrument_id,
        "start": start,
        "oldest_reference": start - SLACK,
        **asdict(rule),
    }
    price_range = {
        "instrument_id": instrument.instrument_id,
        "oldest": oldest,
        "first_price_at": first_price_at,
    }
    with _rolled_back(engine, statement_limit) as connection:
        create_temporary_tables(connection)
        for table in ("subscriptions", "alerts", "watermarks", "extremes"):
            connection.execute(statement(f"alerts/backtest/create_{table}"))
        if oldest < first_price_at:
            connection.execute(statement("alerts/backtest/set_price_range"), price_range | {"newest": start})
            view = "create_index_prices" if instrument.exchange == INDEX else "create_prices"
            connection.execute(statement(f"alerts/backtest/{view}"))
        connection.execute(statement("alerts/backtest/add_subscription"), subject)
        connection.execute(statement("alerts/backtest/add_watermark"), subject)
        if oldest < first_price_at:
            connection.execute(statement("alerts/backtest/set_price_range"), price_range | {"newest": end})
        connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        quotes, _ = evaluate_range(connection, start, end, end, start, scan=True)
        first_at = connection.execute(statement("alerts/backtest/select_first_observed")).scalar_one()
        known_from = connection.execute(statement("alerts/backtest/select_known_from"), subject).scalar_one()
        rows = connection.execute(statement("alerts/backtest/select_alerts")).mappings()
        alerts = [PastAlert(**row) for row in rows]
    minutes_before = min(first_price_at, end) if start < first_price_at else None
    market = (instrument.exchange, instrument.base, instrument.quote)
    return Backtest(*market, start, end, quotes, alerts, minutes_before, first_at, known_from)


def _reference_age(rule: Rule) -> timedelta:
    """How much older than a value the prices may be that it is compared with. Extremes are read from candles."""
    if rule.kind in SIGNS and rule.metric == "price":
        return SLACK
    return timedelta(seconds=rule.window_seconds) + SLACK


def _check_range(start: datetime, end: datetime) -> None:
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidRequest(name, f"{name} needs a time zone, for example 2026-01-31T12:00:00Z.")
    if start >= end:
        raise InvalidRequest("start", f"start ({start:%Y-%m-%d %H:%M}) must be before end ({end:%Y-%m-%d %H:%M}).")
    if end - start > MAX_RANGE:
        raise InvalidRequest("start", f"A backtest covers up to {MAX_RANGE.days} days. Choose a later start.")


@contextmanager
def _rolled_back(engine: Engine, statement_limit: timedelta) -> Iterator[Connection]:
    """A transaction that leaves nothing behind: the tables that hide the real ones must not outlive it.

    Statements prepared earlier on the same connection would refer to the real tables, so none are used.
    """
    with transaction(engine) as connection, unprepared(connection):
        _limit_statements(connection, statement_limit)
        yield connection
        connection.rollback()


def _limit_statements(connection: Connection, limit: timedelta) -> None:
    milliseconds = int(limit / timedelta(milliseconds=1))
    connection.execute(statement("alerts/backtest/set_limits"), {"milliseconds": milliseconds})


def _first_price_at(row: sa.Row[Any] | None, end: datetime) -> datetime:
    """When prices start to be used instead of minute candles.

    The distant past if there are no minute candles before the prices (``row`` is None); after ``end`` if no prices are
    stored.
    """
    if row is None:
        return datetime.min.replace(tzinfo=UTC)
    return row.observed_at or end + timedelta(days=1)
