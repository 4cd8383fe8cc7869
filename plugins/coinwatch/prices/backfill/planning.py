"""Which candles have been fetched from the exchanges (table ``candle_fetches``), and which are still to be fetched."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.resolutions import WIDTHS, Resolution
from coinwatch.time_range import DAY, HOUR, TimeRange, ceil_to, find_uncovered, floor_to, merge, subtract

# Candles may be published late: that recent ones are missing does not mean they are unavailable.
MAX_DELAY = 6 * HOUR
# A gap in a response from this length on is unavailable, and coarser candles are fetched; in a shorter one, nobody
# traded.
SHORTEST_UNAVAILABLE: Mapping[Resolution, timedelta] = {"1m": HOUR, "1h": 6 * HOUR, "1d": DAY}


@dataclass(frozen=True, slots=True)
class InstrumentRange:
    """A time range of one instrument's history."""

    instrument_id: int
    time_range: TimeRange


@dataclass(frozen=True, slots=True)
class Plan:
    """The requested ranges, by what is known about them.

    - ``to_fetch``: not fetched yet.
    - ``expired``: never fetched, and older than the exchange keeps.
    - ``unavailable``: known not to be available from the exchange.
    """

    to_fetch: list[InstrumentRange] = field(default_factory=list)
    expired: list[InstrumentRange] = field(default_factory=list)
    unavailable: list[InstrumentRange] = field(default_factory=list)


def plan_fetches(
    engine: Engine, resolution: Resolution, wanted: Sequence[InstrumentRange], kept_from: datetime | None, again: bool
) -> Plan:
    """Compare ``wanted`` with what has been fetched; ranges of one instrument may overlap, those of the plan do not.

    ``kept_from`` is when the oldest candle opened that the exchange still keeps; None if it keeps all of them.
    ``again`` also fetches candles that are stored.
    """
    with transaction(engine) as connection:
        rows = connection.execute(
            statement("prices/backfill/plan_fetches"),
            {"resolution": resolution, "kept_from": kept_from, "again": again, **_columns(wanted)},
        ).all()
    plan = Plan()
    for row in rows:
        getattr(plan, row.kind).append(InstrumentRange(row.instrument_id, TimeRange(row.started_at, row.ended_at)))
    return plan


def record_response(
    engine: Engine,
    resolution: Resolution,
    page: InstrumentRange,
    candles: Sequence[Candle],
    kept_from: datetime | None,
    now: datetime,
) -> list[InstrumentRange]:
    """Record that the exchange responded with ``candles``, which are stored, for ``page``.

    Returns the ranges without candles that are recorded as unavailable.
    """
    width = WIDTHS[resolution]
    start, end = page.time_range.start, page.time_range.end
    if kept_from is not None:  # older candles may have expired while we waited for the rate limiter
        start = max(start, kept_from)
    if end > now - MAX_DELAY:
        end = candles[-1].opened_at + width if candles else start
    if start >= end:
        return []
    fetched = TimeRange(start, end)
    opened = [candle.opened_at for candle in candles]
    missing = [
        InstrumentRange(page.instrument_id, gap)
        for gap in find_uncovered(fetched, opened, width, SHORTEST_UNAVAILABLE[resolution])
        if gap.end <= now - MAX_DELAY
    ]
    # An exchange that no longer returns what it once did takes nothing from us.
    unavailable = [each for each in missing if not has_exchange_candles(engine, resolution, each)]
    record_unavailable(engine, resolution, unavailable, now)
    stored = [
        InstrumentRange(page.instrument_id, part)
        for part in subtract(fetched, [each.time_range for each in unavailable])
    ]
    counts = [sum(moment in part.time_range for moment in opened) for part in stored]
    _record(engine, resolution, stored, "stored", counts, now)
    return unavailable


def record_unavailable(
    engine: Engine, resolution: Resolution, ranges: Sequence[InstrumentRange], now: datetime
) -> None:
    """Record that the exchange has no candles in these ranges, so that they are not requested again."""
    _record(engine, resolution, ranges, "unavailable", [0] * len(ranges), now)


def delete_unavailable(engine: Engine, instruments: Sequence[int], start: datetime, end: datetime) -> int:
    """Delete the records of unavailable ranges that touch [start, end), so that they are requested again."""
    with transaction(engine) as connection:
        parameters = {"instrument_ids": list(instruments), "start": start, "end": end}
        return connection.execute(statement("prices/backfill/delete_unavailable"), parameters).rowcount


def has_exchange_candles(engine: Engine, resolution: Resolution, wanted: InstrumentRange) -> bool:
    """Whether candles fetched from the exchange are stored in a range."""
    parameters = {
        "instrument_id": wanted.instrument_id,
        "resolution": resolution,
        "start": wanted.time_range.start,
        "end": wanted.time_range.end,
    }
    with transaction(engine) as connection:
        return bool(connection.execute(statement("prices/backfill/has_exchange_candles"), parameters).scalar_one())


def expand_to_candles(
    wanted: Sequence[InstrumentRange], resolution: Resolution, now: datetime
) -> list[InstrumentRange]:
    """The ranges extended to whole candles, up to the last candle that is complete."""
    width = WIDTHS[resolution]
    expanded = []
    for each in wanted:
        start = floor_to(each.time_range.start, width)
        end = min(ceil_to(each.time_range.end, width), floor_to(now, width))
        if start < end:
            expanded.append(InstrumentRange(each.instrument_id, TimeRange(start, end)))
    return expanded


def merge_ranges(ranges: Iterable[InstrumentRange]) -> list[InstrumentRange]:
    """The ranges by instrument and start, with those that touch or overlap combined."""
    by_instrument: dict[int, list[TimeRange]] = defaultdict(list)
    for each in ranges:
        by_instrument[each.instrument_id].append(each.time_range)
    return [
        InstrumentRange(instrument_id, merged)
        for instrument_id in sorted(by_instrument)
        for merged in merge(by_instrument[instrument_id])
    ]


def _record(
    engine: Engine,
    resolution: Resolution,
    ranges: Sequence[InstrumentRange],
    outcome: Literal["stored", "unavailable"],
    candles: Sequence[int],
    now: datetime,
) -> None:
    if ranges:
        parameters = {"resolution": resolution, "outcome": outcome, "candles": candles, "now": now}
        with transaction(engine) as connection:
            connection.execute(statement("prices/backfill/upsert_fetches"), {**parameters, **_columns(ranges)})


def _columns(ranges: Sequence[InstrumentRange]) -> dict[str, list[object]]:
    return {
        "instrument_ids": [each.instrument_id for each in ranges],
        "starts": [each.time_range.start for each in ranges],
        "ends": [each.time_range.end for each in ranges],
    }
