"""Gaps: stretches of minutes without a candle, longer than a feed that works leaves.

Found per instrument and UTC day by comparing the candles of minutes that are stored with the cadence they are expected
in; a gap stays where it is until candles fill it. What a look writes follows from the candles alone, so that looking
twice, in any order, or from two places at once leaves the same rows. The index is no exchange that could be asked for
the past: its gaps are marked as found.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from coinwatch.database import Lock, hold, statement, transaction
from coinwatch.exchanges.registry import open_exchange
from coinwatch.prices.catalog import INDEX
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange, utc_day

Status = Literal["open", "repaired", "unavailable"]

# A system that was away is looked after as far back; what lies further back is found by naming the days.
FOLLOWED_BACK = timedelta(days=31)
INDEX_ANSWER = "the index is made of live prices and not filled afterwards"


@dataclass(frozen=True, slots=True)
class FindResult:
    """Gaps that are new or grew, gaps or parts of them that turned out filled, and all that are open now."""

    found: int
    filled: int
    open: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes of one instrument and UTC day without candles: ``[started_at, ended_at)``.

    ``reason`` says why nothing can fill it, when ``status`` is unavailable.
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
    """A stretch ``[started_at, ended_at)`` of one instrument's past without prices, also across midnight."""

    started_at: datetime
    ended_at: datetime
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class RangeToCheck:
    """Minutes of one instrument to look at; ``answer``: why what is still empty there will stay so."""

    instrument_id: int
    time_range: TimeRange
    tolerance: timedelta
    answer: str | None = None


def find_gaps(engine: Engine, settings: Settings, first_day: date, last_day: date, now: datetime) -> FindResult:
    """Look for gaps in the UTC days from ``first_day`` to ``last_day`` (both included), and again at all open ones.

    Reads the minutes of those days and of the open gaps, and no others. Only instruments that are watched now, from
    their first candle to ``now`` minus what a working feed may take. A gap that reaches back over ``first_day`` is
    recorded from its beginning, at most a month. Raises DatabaseError.
    """
    tolerances = gap_tolerances(settings)
    start = utc_day(first_day).start
    parameters = {
        "start": start,
        "end": utc_day(last_day).end,
        "oldest": start - FOLLOWED_BACK,
        "now": now,
        "index_answer": INDEX_ANSWER,
        "exchanges": list(tolerances),
        "seconds": [tolerance.total_seconds() for tolerance in tolerances.values()],
    }
    with transaction(engine) as connection:
        _begin(connection)
        connection.execute(statement("prices/backfill/gaps/look_at_days"), parameters)
        connection.execute(statement("prices/backfill/gaps/look_at_open"), parameters)
        found, filled, _ = _judge(connection, now)
        still_open = connection.execute(statement("prices/backfill/gaps/count_open")).scalar_one()
    return FindResult(found, filled, still_open)


def resolve_gaps(engine: Engine, ranges: Iterable[RangeToCheck], now: datetime) -> tuple[int, int]:
    """Look again at stretches an exchange has answered for; how many gaps are filled, and how many stay holes."""
    rows = [
        {
            "instrument_id": each.instrument_id,
            "started_at": each.time_range.start,
            "ended_at": each.time_range.end,
            "tolerance": each.tolerance,
            "answer": each.answer,
        }
        for each in ranges
    ]
    if not rows:
        return 0, 0
    with transaction(engine) as connection:
        _begin(connection)
        connection.execute(statement("prices/backfill/gaps/look_at"), rows)
        _, filled, unavailable = _judge(connection, now)
    return filled, unavailable


def gap_tolerances(settings: Settings) -> Mapping[str, timedelta]:
    """For each configured exchange and the index, how long its quotes may stay out before that is a gap."""
    tolerances = {INDEX: gap_tolerance(settings, 0)}
    for code in settings.exchanges:
        with closing(open_exchange(code, settings)) as adapter:
            tolerances[code] = gap_tolerance(settings, adapter.minimum_interval_seconds)
    return tolerances


def gap_tolerance(settings: Settings, minimum_interval_seconds: float) -> timedelta:
    """How long quotes may stay out that are fetched every cycle, or as seldom as the exchange demands."""
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
    """Gaps that end after ``since``, newest first; ``exchange`` is a code, ``coin`` a code or name."""
    parameters = {"since": since, "exchange": exchange, "coin": coin, "status": status}
    with transaction(engine) as connection:
        return [Gap(**row) for row in connection.execute(statement("prices/backfill/gaps/list"), parameters).mappings()]


def retry_gaps(engine: Engine, *, since: datetime, exchange: str | None = None, coin: str | None = None) -> int:
    """Open the unavailable gaps that end after ``since`` again, for the next repair to ask once more; their number."""
    parameters = {"since": since, "exchange": exchange, "coin": coin, "index": INDEX}
    with transaction(engine) as connection:
        return int(connection.execute(statement("prices/backfill/gaps/retry"), parameters).scalar_one())


def instrument_gaps(connection: Connection, instrument_id: int, start: datetime, end: datetime) -> list[InstrumentGap]:
    """Where one instrument has no prices within ``[start, end)``, oldest first, cut off at those bounds.

    Gaps that touch and have the same status and reason are one hole. Not in it is what the hourly look has yet to find.
    """
    parameters = {"instrument_id": instrument_id, "start": start, "end": end}
    return [
        InstrumentGap(**row)
        for row in connection.execute(statement("prices/backfill/gaps/holes"), parameters).mappings()
    ]


def _begin(connection: Connection) -> None:
    hold(connection, Lock.GAPS)
    connection.execute(statement("prices/backfill/gaps/create_looked"))
    connection.execute(statement("prices/backfill/gaps/create_judged"))


def _judge(connection: Connection, now: datetime) -> tuple[int, int, int]:
    """Bring the gaps over the stretches looked at in line with the candles.

    Rows written as open, as repaired and as unavailable.
    """
    # A temporary table has no statistics of its own: without them the planner reads whole tables.
    connection.execute(sa.text("ANALYZE looked_stretches"))
    connection.execute(statement("prices/backfill/gaps/judge"), {"now": now})
    connection.execute(statement("prices/backfill/gaps/remove_gone"))
    written = list(connection.execute(statement("prices/backfill/gaps/keep_judged")).scalars())
    return written.count("open"), written.count("repaired"), written.count("unavailable")
