"""What the exchanges were asked for already (table ``candle_fetches``), and what is left to ask."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.time_range import TimeRange, merge


@dataclass(frozen=True, slots=True)
class InstrumentRange:
    """A time range of one instrument's history."""

    instrument_id: int
    time_range: TimeRange


@dataclass(frozen=True, slots=True)
class Plan:
    """``ask``: still to be fetched. ``gone``: never fetched, and older than the exchange keeps. ``unavailable``: known
    to be missing there."""

    ask: list[InstrumentRange] = field(default_factory=list)
    gone: list[InstrumentRange] = field(default_factory=list)
    unavailable: list[InstrumentRange] = field(default_factory=list)


def plan(
    engine: Engine, resolution: Resolution, wanted: Sequence[InstrumentRange], kept_from: datetime | None, again: bool
) -> Plan:
    """Sort what is wanted by what is known; ranges of one instrument may overlap, those of the plan do not.

    ``kept_from`` is when the oldest candle that the exchange still keeps was opened, None where it keeps all.
    ``again`` asks also for what is stored.
    """
    with transaction(engine) as connection:
        rows = connection.execute(
            statement("prices/backfill/plan"),
            {"resolution": resolution, "kept_from": kept_from, "again": again, **_columns(wanted)},
        ).all()
    found = Plan()
    for row in rows:
        getattr(found, row.kind).append(InstrumentRange(row.instrument_id, TimeRange(row.started_at, row.ended_at)))
    return found


def record_stored(
    engine: Engine, resolution: Resolution, ranges: Sequence[InstrumentRange], opened: Sequence[datetime], now: datetime
) -> None:
    """Remember ranges that the exchange answered for; its candles in them, now stored, were opened at ``opened``."""
    counts = [sum(moment in part.time_range for moment in opened) for part in ranges]
    _record(engine, resolution, ranges, "stored", counts, now)


def record_unavailable(
    engine: Engine, resolution: Resolution, ranges: Sequence[InstrumentRange], now: datetime
) -> None:
    """Remember ranges that the exchange has no candles of."""
    _record(engine, resolution, ranges, "unavailable", [0] * len(ranges), now)


def delete_unavailable(engine: Engine, instruments: Sequence[int], start: datetime, end: datetime) -> int:
    """Forget that ranges touching [start, end) are unavailable, so that they are asked for once more."""
    with transaction(engine) as connection:
        parameters = {"instrument_ids": list(instruments), "start": start, "end": end}
        return connection.execute(statement("prices/backfill/delete_unavailable"), parameters).rowcount


def has_candles(engine: Engine, resolution: Resolution, wanted: InstrumentRange) -> bool:
    """Whether we hold candles of the exchange's own in a time range."""
    parameters = {
        "instrument_id": wanted.instrument_id,
        "resolution": resolution,
        "start": wanted.time_range.start,
        "end": wanted.time_range.end,
    }
    with transaction(engine) as connection:
        return bool(connection.execute(statement("prices/backfill/any_candle"), parameters).scalar_one())


def merge_ranges(ranges: Iterable[InstrumentRange]) -> list[InstrumentRange]:
    """Ranges of one instrument that touch or overlap as one, ordered by instrument and start."""
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
            connection.execute(statement("prices/backfill/record_answer"), {**parameters, **_columns(ranges)})


def _columns(ranges: Sequence[InstrumentRange]) -> dict[str, list[object]]:
    return {
        "instrument_ids": [each.instrument_id for each in ranges],
        "starts": [each.time_range.start for each in ranges],
        "ends": [each.time_range.end for each in ranges],
    }
