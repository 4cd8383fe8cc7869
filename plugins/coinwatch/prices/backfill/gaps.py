"""Gaps: time ranges without 1-minute candles, longer than a working feed leaves.

They are found per instrument and UTC day by comparing the stored 1-minute candles with the expected cadence, and stay
recorded until candles fill them. What a check records follows from the candles alone, so checking twice, in any order,
or from two processes at once gives the same rows. The index cannot be fetched from an exchange: its gaps are recorded
as unavailable at once. An unavailable gap is repaired when candles fill it all the same, from an import or, in the
index, from those of an exchange.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from coinwatch.audit import Actor, record
from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.exchanges.registry import open_exchange
from coinwatch.formatting import format_count
from coinwatch.prices.catalog import INDEX
from coinwatch.prices.unknown_names import check_names
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange, utc_day

Status = Literal["open", "repaired", "unavailable"]

# How far back a gap is followed that began before the first day checked.
MAX_LOOKBACK = timedelta(days=31)
INDEX_REASON = "no exchange has prices of this time"


@dataclass(frozen=True, slots=True)
class FindResult:
    """Number of gaps that are new or longer (``found``), filled since the last check, and ``open`` now."""

    found: int
    filled: int
    open: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes of one instrument and UTC day without candles: ``[started_at, ended_at)``.

    ``reason`` says why it cannot be filled if ``status`` is unavailable.
    """

    exchange: str
    base: str
    quote: str
    day: date
    started_at: datetime
    ended_at: datetime
    status: Status
    reason: str | None
    detected_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class InstrumentGap:
    """A time range ``[started_at, ended_at)`` without prices of one instrument; may span several UTC days."""

    started_at: datetime
    ended_at: datetime
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class RangeToCheck:
    """A time range of one instrument to check for gaps longer than ``tolerance``.

    ``reason`` is why the exchange cannot fill those that are still there; None if it may yet do so.
    """

    instrument_id: int
    time_range: TimeRange
    tolerance: timedelta
    reason: str | None = None


def find_new_gaps(engine: Engine, settings: Settings, now: datetime) -> FindResult:
    """Check yesterday, today, and everything since the last call, however long ago that was; and other gaps.

    These are all open ones, and unavailable ones in which candles have been stored since.
    An instrument that was never checked is checked from 31 days ago on. A month at a time is committed, so that an
    interrupted check continues. Raises DatabaseError.
    """
    with transaction(engine) as connection:
        unchecked = connection.execute(
            statement("prices/backfill/gaps/select_first_unchecked"), {"oldest": now - MAX_LOOKBACK}
        ).scalar_one()
    # A day earlier, because the last minutes before a check are left to the next one.
    first_day, found, filled = min(unchecked or now, now).date() - timedelta(days=1), 0, 0
    while True:
        last_day = min(first_day + MAX_LOOKBACK, now.date())
        result = _check_days(engine, settings, first_day, last_day, now, continued=True)
        found, filled = found + result.found, filled + result.filled
        if last_day >= now.date():
            return FindResult(found, filled, result.open)
        first_day = last_day


def find_gaps(engine: Engine, settings: Settings, first_day: date, last_day: date, now: datetime) -> FindResult:
    """Check the UTC days from ``first_day`` to ``last_day`` (inclusive) and other gaps, and record what is missing.

    These are all open ones, and unavailable ones in which candles have been stored since. Reads only the minutes of
    those days and gaps. Covers the instruments that are watched now, from their first candle
    to ``now`` minus the tolerance. A gap that began before ``first_day`` is recorded from its start, up to 31 days
    back. Raises DatabaseError.
    """
    return _check_days(engine, settings, first_day, last_day, now, continued=False)


def _check_days(
    engine: Engine, settings: Settings, first_day: date, last_day: date, now: datetime, *, continued: bool
) -> FindResult:
    """Check these days; if the check is ``continued``, record where it ended."""
    tolerances = gap_tolerances(settings)
    start = utc_day(first_day).start
    parameters = {
        "start": start,
        "end": utc_day(last_day).end,
        "oldest": start - MAX_LOOKBACK,
        "continued": continued,
        "now": now,
        "index_reason": INDEX_REASON,
        "exchanges": list(tolerances),
        "seconds": [tolerance.total_seconds() for tolerance in tolerances.values()],
    }
    with transaction(engine) as connection:
        _begin_check(connection)
        connection.execute(statement("prices/backfill/gaps/insert_ranges_to_check"), parameters)
        found, filled, _ = _update_gaps(connection, now)
        if continued:
            until = {"until": min(utc_day(last_day).end, now)}
            connection.execute(statement("prices/backfill/gaps/upsert_gap_checks"), until)
        still_open = connection.execute(statement("prices/backfill/gaps/count_open_gaps")).scalar_one()
    return FindResult(found, filled, still_open)


def resolve_gaps(engine: Engine, ranges: Iterable[RangeToCheck], now: datetime) -> tuple[int, int]:
    """Check ranges that were requested from the exchange; returns how many gaps are filled and how many unavailable."""
    rows = [
        {
            "instrument_id": each.instrument_id,
            "started_at": each.time_range.start,
            "ended_at": each.time_range.end,
            "tolerance": each.tolerance,
            "reason": each.reason,
        }
        for each in ranges
    ]
    if not rows:
        return 0, 0
    with transaction(engine) as connection:
        _begin_check(connection)
        connection.execute(statement("prices/backfill/gaps/insert_checked_range"), rows)
        _, filled, unavailable = _update_gaps(connection, now)
    return filled, unavailable


def gap_tolerances(settings: Settings) -> Mapping[str, timedelta]:
    """For each configured exchange and the index, the longest time without quotes that is not a gap."""
    tolerances = {INDEX: gap_tolerance(settings, 0)}
    for code in settings.exchanges:
        with closing(open_exchange(code, settings)) as adapter:
            tolerances[code] = gap_tolerance(settings, adapter.minimum_interval_seconds)
    return tolerances


def gap_tolerance(settings: Settings, minimum_interval_seconds: float) -> timedelta:
    """The longest time without quotes that is not a gap, for an exchange with this minimum interval."""
    cadence = max(60.0, settings.collect_schedule_minutes * 60, minimum_interval_seconds)
    return timedelta(seconds=settings.gap_after_cycles * cadence)


def list_gaps(
    engine: Engine,
    *,
    since: datetime,
    exchange: str | None = None,
    coin: str | None = None,
    status: Status | None = None,
) -> list[Gap]:
    """Gaps that end after ``since``, newest first; ``exchange`` is a code, ``coin`` a code or name.

    Raises NotFound for an unknown coin or exchange.
    """
    parameters = {"since": since, "exchange": exchange, "coin": coin, "status": status}
    with transaction(engine) as connection:
        check_names(connection, coin, exchange)
        rows = connection.execute(statement("prices/backfill/gaps/select_gaps"), parameters).mappings()
        return [Gap(**row) for row in rows]


def retry_gaps(
    engine: Engine,
    *,
    since: datetime,
    exchange: str | None = None,
    coin: str | None = None,
    actor: Actor | None = None,
) -> int:
    """Reopen the unavailable gaps that end after ``since``, so that the next repair requests them; returns how many.

    Raises NotFound for an unknown coin or exchange.
    """
    parameters = {"since": since, "exchange": exchange, "coin": coin, "index": INDEX}
    with transaction(engine) as connection:
        check_names(connection, coin, exchange)
        reopened = int(connection.execute(statement("prices/backfill/gaps/reopen_gaps"), parameters).scalar_one())
        record(
            connection, actor, "gaps.retry", format_count(reopened, "gap"), since=since, exchange=exchange, coin=coin
        )
        return reopened


def instrument_gaps(connection: Connection, instrument_id: int, start: datetime, end: datetime) -> list[InstrumentGap]:
    """The recorded gaps of one instrument within ``[start, end)``, oldest first, cut at those bounds.

    Adjacent gaps with the same status and reason are combined.
    """
    parameters = {"instrument_id": instrument_id, "start": start, "end": end}
    rows = connection.execute(statement("prices/backfill/gaps/select_instrument_gaps"), parameters).mappings()
    return [InstrumentGap(**row) for row in rows]


def _begin_check(connection: Connection) -> None:
    acquire_lock(connection, Lock.GAPS)
    connection.execute(statement("prices/backfill/gaps/create_checked_ranges"))
    connection.execute(statement("prices/backfill/gaps/create_computed_gaps"))


def _update_gaps(connection: Connection, now: datetime) -> tuple[int, int, int]:
    """Make the recorded gaps of the checked ranges match the candles.

    Returns the number of rows written as open, repaired and unavailable.
    """
    # A temporary table has no statistics until it is analyzed; without them, the planner scans whole tables.
    connection.execute(sa.text("ANALYZE checked_ranges"))
    connection.execute(statement("prices/backfill/gaps/compute_gaps"), {"now": now})
    connection.execute(statement("prices/backfill/gaps/delete_replaced_gaps"))
    written = list(connection.execute(statement("prices/backfill/gaps/upsert_gaps")).scalars())
    return written.count("open"), written.count("repaired"), written.count("unavailable")
