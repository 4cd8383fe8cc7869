"""What the exchanges were asked for already (table ``candle_fetches``), and what is left to ask."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.prices.candles.storage import Resolution


class Stretch(NamedTuple):
    """A stretch of time of one instrument: [started_at, ended_at), aware."""

    instrument_id: int
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """``ask``: still to be fetched. ``gone``: never fetched, and older than the exchange keeps. ``unavailable``: known
    to be missing there."""

    ask: list[Stretch] = field(default_factory=list)
    gone: list[Stretch] = field(default_factory=list)
    unavailable: list[Stretch] = field(default_factory=list)


def plan(
    engine: Engine, resolution: Resolution, wanted: Sequence[Stretch], kept_from: datetime | None, again: bool
) -> Plan:
    """Sort what is wanted by what is known; stretches of one instrument may overlap, those of the plan do not.

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
        getattr(found, row.kind).append(Stretch(row.instrument_id, row.started_at, row.ended_at))
    return found


def record_stored(
    engine: Engine, resolution: Resolution, stretches: Sequence[Stretch], opened: Sequence[datetime], now: datetime
) -> None:
    """Remember stretches that the exchange answered for; its candles in them, now stored, were opened at ``opened``."""
    counts = [sum(part.started_at <= moment < part.ended_at for moment in opened) for part in stretches]
    _record(engine, resolution, stretches, "stored", counts, now)


def record_unavailable(engine: Engine, resolution: Resolution, stretches: Sequence[Stretch], now: datetime) -> None:
    """Remember stretches that the exchange has no candles of."""
    _record(engine, resolution, stretches, "unavailable", [0] * len(stretches), now)


def delete_unavailable(engine: Engine, instruments: Sequence[int], start: datetime, end: datetime) -> int:
    """Forget that stretches touching [start, end) are unavailable, so that they are asked for once more."""
    with transaction(engine) as connection:
        parameters = {"instrument_ids": list(instruments), "start": start, "end": end}
        return connection.execute(statement("prices/backfill/delete_unavailable"), parameters).rowcount


def has_candles(engine: Engine, resolution: Resolution, stretch: Stretch) -> bool:
    """Whether we hold candles of the exchange's own in a stretch."""
    instrument_id, start, end = stretch
    with transaction(engine) as connection:
        parameters = {"instrument_id": instrument_id, "resolution": resolution, "start": start, "end": end}
        return bool(connection.execute(statement("prices/backfill/any_candle"), parameters).scalar_one())


def holes_between(stretch: Stretch, opened: Sequence[datetime], width: timedelta, shortest: timedelta) -> list[Stretch]:
    """Where in a stretch there is no candle for at least so long; ``opened`` in order, each candle ``width`` long."""
    ends = [stretch.started_at, *(moment + width for moment in opened)]
    starts = [*opened, stretch.ended_at]
    return [
        Stretch(stretch.instrument_id, hole_start, hole_end)
        for hole_start, hole_end in zip(ends, starts, strict=True)
        if hole_end - hole_start >= shortest
    ]


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches of one instrument that touch or overlap as one, in order."""
    found: list[Stretch] = []
    for stretch in sorted(stretches):
        last = found[-1] if found else None
        if last and last.instrument_id == stretch.instrument_id and stretch.started_at <= last.ended_at:
            found[-1] = last._replace(ended_at=max(last.ended_at, stretch.ended_at))
        else:
            found.append(stretch)
    return found


def without(stretch: Stretch, holes: Sequence[Stretch]) -> list[Stretch]:
    """What is left of a stretch between its holes, which are in order."""
    starts = [stretch.started_at, *(hole.ended_at for hole in holes)]
    ends = [*(hole.started_at for hole in holes), stretch.ended_at]
    parts = zip(starts, ends, strict=True)
    return [Stretch(stretch.instrument_id, start, end) for start, end in parts if start < end]


def _record(
    engine: Engine,
    resolution: Resolution,
    stretches: Sequence[Stretch],
    outcome: Literal["stored", "unavailable"],
    candles: Sequence[int],
    now: datetime,
) -> None:
    if stretches:
        parameters = {"resolution": resolution, "outcome": outcome, "candles": candles, "now": now}
        with transaction(engine) as connection:
            connection.execute(statement("prices/backfill/record_answer"), {**parameters, **_columns(stretches)})


def _columns(stretches: Sequence[Stretch]) -> dict[str, list[object]]:
    return {
        "instrument_ids": [stretch.instrument_id for stretch in stretches],
        "starts": [stretch.started_at for stretch in stretches],
        "ends": [stretch.ended_at for stretch in stretches],
    }
