"""What a rule would have told: the matcher's own statements over stored history.

Temporary tables named like the real ones stand before them in a session of its own: one subscription with the rule,
a watermark at the start, an empty table of alerts; where the question reaches beyond the prices that are kept, a view
named ``prices`` that continues them with the minutes before. The judging runs in a read-only transaction, in which
Postgres lets nobody write to anything but temporary tables.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from coinwatch.alerts.evaluation import SLACK, evaluate_range, prepare
from coinwatch.alerts.rules import Rule, check_rule
from coinwatch.database import create_engine, named_errors, statement, transaction
from coinwatch.errors import InvalidRequest
from coinwatch.prices.catalog import find_instrument
from coinwatch.time_range import utc_day

LONGEST = timedelta(days=5 * 366)
WEEK, SHORTEST_SAMPLE = timedelta(weeks=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PastAlert:
    """A value that would have been told, and what it was compared with; units as in ``Rule``."""

    observed_at: datetime
    price: float
    reference: float
    reference_at: datetime | None
    change_percent: float


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have told between two moments, oldest first.

    ``quotes`` values were judged, the first one observed at ``first_at``; none means no history there.
    ``minutes_before`` is the moment before which only the closes of minutes are kept, None where all were prices.
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

    @property
    def per_week(self) -> float:
        """Alerts per week since the first value judged; less than a day of them says nothing about a week."""
        judged = self.end - (self.first_at or self.start)
        return len(self.alerts) / (max(judged, SHORTEST_SAMPLE) / WEEK)


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
    """Judge the stored values in (``start``, ``end``] by a rule as the live matcher would have done.

    Raises NotFound for an unknown coin, exchange or currency, InvalidRequest for a nonsensical rule or range, and
    QueryTimeout where one of its statements takes longer than ``statement_limit`` (0: no limit).
    """
    check_rule(rule, start)
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidRequest(name, f"The {name} needs a time zone, for example 2026-01-31T12:00:00Z.")
    if start >= end:
        raise InvalidRequest(
            "start", f"The start, {start:%Y-%m-%d %H:%M}, has to lie before the end, {end:%Y-%m-%d %H:%M}."
        )
    if end - start > LONGEST:
        raise InvalidRequest("start", f"A backtest reaches over {LONGEST.days} days at most: ask for a later start.")
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        prices = connection.execute(
            statement("alerts/backtest/oldest_prices"), {"instrument_id": instrument.instrument_id}
        )
        kept_since = _kept_since(prices.one_or_none(), end)
    oldest = start - timedelta(seconds=rule.window_seconds) - SLACK
    subject = {"instrument_id": instrument.instrument_id, "start": start, "known_from": start - SLACK, **asdict(rule)}
    with _session(engine, statement_limit) as connection:
        with connection.begin():
            prepare(connection)
            for table in ("subscriptions", "alerts", "watermarks"):
                connection.execute(statement(f"alerts/backtest/create_{table}"))
            if oldest < kept_since:
                span = subject | {"oldest": oldest, "kept_since": kept_since}
                connection.execute(statement("alerts/backtest/span"), span | {"newest": start})
                connection.execute(statement("alerts/backtest/create_prices"))
            connection.execute(statement("alerts/backtest/add_rule"), subject)
            connection.execute(statement("alerts/backtest/start"), subject)
            if oldest < kept_since:
                connection.execute(statement("alerts/backtest/span"), span | {"newest": end})
        with connection.begin():
            connection.execute(sa.text("SET TRANSACTION READ ONLY"))
            quotes, _ = evaluate_range(connection, start, end, end, start, sweep=True)
            first_at = connection.execute(statement("alerts/backtest/first_quote")).scalar_one()
            rows = connection.execute(statement("alerts/backtest/alerts"))
            alerts = [PastAlert(**row) for row in rows.mappings()]
    minutes_before = min(kept_since, end) if start < kept_since else None
    market = (instrument.exchange, instrument.base, instrument.quote)
    return Backtest(*market, start, end, quotes, alerts, minutes_before, first_at)


@contextmanager
def _session(engine: Engine, statement_limit: timedelta) -> Iterator[Connection]:
    """A session that nobody used before: what it prepared earlier would mean the real tables."""
    own = create_engine(engine.url.render_as_string(hide_password=False))
    try:
        with named_errors(engine), closing(own.connect()) as connection:
            with connection.begin():
                milliseconds = int(statement_limit / timedelta(milliseconds=1))
                connection.execute(statement("alerts/backtest/room"), {"milliseconds": milliseconds})
            yield connection
    finally:
        own.dispose()


def _kept_since(row: sa.Row[Any] | None, end: datetime) -> datetime:
    """From when on prices stand in for minutes: always without a row, never without a partition of prices."""
    if row is None:
        return datetime.min.replace(tzinfo=UTC)
    return utc_day(row.since).start if row.since else end + timedelta(days=1)
