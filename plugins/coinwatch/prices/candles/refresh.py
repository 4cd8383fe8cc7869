"""Updating the candles over prices and candles that changed: minutes from quotes, hours from minutes, days from hours.

Where an exchange has its own candles, those of the index are computed from all exchanges', in every resolution.

Only the time ranges in ``stale_candles`` are updated, so the cost depends on what changed. The result depends only on
the stored quotes and exchange candles, not on the order in which they arrived.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection, Engine

from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, WIDTHS, Resolution

ROLLUPS: tuple[tuple[Resolution, Resolution], ...] = (("1m", "1h"), ("1h", "1d"))
BATCH_RANGES = 1000
# How many minutes more an exchange counts in the index with its last price; ten in all, as live by default
# (COINWATCH_INDEX_FRESHNESS_SECONDS).
CARRIED_MINUTES = 9

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """How many stale time ranges were refreshed and remain, and the number of candles written by resolution."""

    ranges: int
    written: Mapping[Resolution, int]
    remaining: int


def refresh_candles(engine: Engine, *, max_seconds: float | None = None) -> RefreshResult:
    """Update the candles over all stale time ranges, the newest first.

    Commits every 1,000 ranges; if interrupted, the next call continues. After ``max_seconds`` no further batch is
    started, so that a cycle does not wait for years of imported history. Raises DatabaseError.
    """
    started = time.monotonic()
    ranges, remaining = 0, 0
    written: dict[Resolution, int] = dict.fromkeys(STORED_RESOLUTIONS, 0)
    while True:
        with transaction(engine) as connection:
            claimed = _refresh_batch(connection, written)
        ranges += claimed
        if claimed < BATCH_RANGES:
            break
        if max_seconds is not None and time.monotonic() - started > max_seconds:
            remaining = count_stale_ranges(engine)
            break
        counts = {f"candles_{name}": count for name, count in written.items()}
        log.info("candles refreshed", time_ranges=ranges, **counts)
    return RefreshResult(ranges, written, remaining)


def count_stale_ranges(engine: Engine) -> int:
    """The number of time ranges that the next ``refresh_candles`` will update."""
    with transaction(engine) as connection:
        return int(connection.execute(statement("prices/candles/count_stale_ranges")).scalar_one())


def mark_history_stale(connection: Connection, instrument_ids: Sequence[int], until: datetime | None = None) -> None:
    """Have the next ``refresh_candles`` update what depends on the candles of these instruments before ``until``.

    It takes as long as the history is, so it is only for changes that concern all of it.
    """
    parameters = {"instrument_ids": list(instrument_ids), "until": until or "infinity"}
    connection.execute(statement("prices/candles/mark_history_stale"), parameters)


def _refresh_batch(connection: Connection, written: dict[Resolution, int]) -> int:
    """Refresh one batch and add the candles written to ``written``; returns the number of ranges."""
    acquire_lock(connection, Lock.CANDLES)
    connection.execute(statement("prices/candles/create_claimed_ranges"))
    claimed = connection.execute(statement("prices/candles/claim_stale_ranges"), {"limit": BATCH_RANGES}).rowcount
    if not claimed:
        return 0
    # A temporary table has no statistics: without them, the planner scans whole partitions.
    connection.execute(sa.text("ANALYZE claimed_ranges"))
    bounds = connection.execute(statement("prices/candles/select_claimed_time_range")).one()
    if bounds.start is not None:
        parameters = {"start": bounds.start, "end": bounds.end}
        written["1m"] += connection.execute(statement("prices/candles/build_minute_candles"), parameters).rowcount
    _build_index(connection, "1m", None, written)
    for finer, coarser in ROLLUPS:
        parameters = {"finer": finer, "coarser": coarser, "width": WIDTHS[coarser]}
        written[coarser] += connection.execute(statement("prices/candles/roll_up_candles"), parameters).rowcount
        _build_index(connection, coarser, finer, written)
    return claimed


def _build_index(
    connection: Connection, resolution: Resolution, finer: Resolution | None, written: dict[Resolution, int]
) -> None:
    parameters = {
        "resolution": resolution,
        "finer": finer,
        "width": WIDTHS[resolution],
        "carried": CARRIED_MINUTES if resolution == "1m" else 0,
    }
    query = statement("prices/candles/build_index_candles")
    written[resolution] += int(connection.execute(query, parameters).scalar_one())
