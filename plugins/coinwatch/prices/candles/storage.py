"""Candles (OHLCV) of a minute, an hour and a day, kept fresh at a cost that follows what changed.

Whatever changes prices or candles leaves a stretch in ``stale_candles``, in the same transaction;
``refresh_candles`` makes the candles over those stretches again and no others: minutes from our own quotes, hours
from minutes, days from hours. What an exchange said of a candle itself wins over everything made of something else,
and its later word over its earlier one. So the tables depend on what was said, never on the order it came in.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection, Engine

from coinwatch.database import Lock, acquire_lock, driver_connection, statement, transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, WIDTHS, Resolution

Source = Literal["exchange", "rollup", "quotes"]

ROLLUPS: tuple[tuple[Resolution, Resolution], ...] = (("1m", "1h"), ("1h", "1d"))
STRETCHES_AT_ONCE = 1000
ROWS_AT_ONCE = 50_000
COLUMN_TYPES = ("int4", "timestamptz", "float8", "float8", "float8", "float8", "float8", "int4", "int4", "text")
COPY = (
    "COPY candle_batch (instrument_id, opened_at, open, high, low, close, volume, trades, samples, source)"
    " FROM STDIN (FORMAT binary)"
)

log = structlog.get_logger()


class StoredCandle(NamedTuple):
    """A candle with the instrument it belongs to and where it comes from.

    ``samples`` is the number of our own quotes it was made of; None for an exchange's candle.
    """

    instrument_id: int
    candle: Candle
    samples: int | None = None
    source: Source = "exchange"


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of candles: new ones, ones that replaced another, and the rest, which changed nothing."""

    inserted: int = 0
    corrected: int = 0
    unchanged: int = 0

    def __add__(self, other: "StoreResult") -> "StoreResult":
        return StoreResult(
            self.inserted + other.inserted, self.corrected + other.corrected, self.unchanged + other.unchanged
        )


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """Candles written by resolution, out of so many stretches; ``waiting`` stretches were left for the next time."""

    stretches: int
    written: Mapping[Resolution, int]
    waiting: int


def store_candles(engine: Engine, resolution: Resolution, rows: Iterable[StoredCandle]) -> StoreResult:
    """Store complete candles of one resolution; storing the same ones again changes nothing.

    Takes any number of rows, 50,000 to a transaction; of two for one key the last counts. The coarser candles over
    them are made by the next ``refresh_candles``. Raises DatabaseError.
    """
    total = StoreResult()
    remaining = iter(rows)
    while batch := list(islice(remaining, ROWS_AT_ONCE)):
        with transaction(engine) as connection:
            total += _store_batch(connection, resolution, batch)
    return total


def refresh_candles(engine: Engine, *, seconds_at_most: float | None = None) -> RefreshResult:
    """Make the candles over all stale stretches again, the newest first.

    Some stretches at a time, each lot in a transaction of its own: interrupted work goes on where it was. With
    ``seconds_at_most`` no further lot is begun after that time; a cycle does not wait for years of imports.
    """
    began = time.monotonic()
    stretches, waiting = 0, 0
    written: dict[Resolution, int] = dict.fromkeys(STORED_RESOLUTIONS, 0)
    while True:
        with transaction(engine) as connection:
            taken = _refresh_lot(connection, written)
        stretches += taken
        if taken < STRETCHES_AT_ONCE:
            break
        if seconds_at_most is not None and time.monotonic() - began > seconds_at_most:
            waiting = count_stale(engine)
            break
        log.info("candles made", stretches=stretches, **{f"candles_{name}": count for name, count in written.items()})
    return RefreshResult(stretches, written, waiting)


def count_stale(engine: Engine) -> int:
    """Stretches that wait for ``refresh_candles``."""
    with transaction(engine) as connection:
        return int(connection.execute(statement("prices/candles/count_stale")).scalar_one())


def _store_batch(connection: Connection, resolution: Resolution, batch: list[StoredCandle]) -> StoreResult:
    connection.execute(statement("prices/candles/create_batch"))
    driver = driver_connection(connection)
    with driver.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.set_types(COLUMN_TYPES)
        for row in batch:
            copy.write_row((row.instrument_id, *row.candle, row.samples, row.source))
    parameters = {"resolution": resolution}
    new = connection.execute(statement("prices/candles/count_new"), parameters).scalar_one()
    changed = connection.execute(statement("prices/candles/store_batch"), parameters).rowcount
    if changed and (resolution != "1d" or any(row.source != "exchange" for row in batch)):
        connection.execute(statement("prices/candles/mark_batch_stale"), parameters)
    inserted = min(new, changed)
    return StoreResult(inserted, changed - inserted, len(batch) - changed)


def _refresh_lot(connection: Connection, written: dict[Resolution, int]) -> int:
    """Take some stretches and make their candles; the number taken. Adds to ``written``."""
    acquire_lock(connection, Lock.CANDLES)
    connection.execute(statement("prices/candles/create_taken"))
    taken = connection.execute(statement("prices/candles/take_stale"), {"at_most": STRETCHES_AT_ONCE}).rowcount
    if not taken:
        return 0
    # A temporary table has no statistics of its own: without them the planner reads whole partitions.
    connection.execute(sa.text("ANALYZE taken_stretches"))
    span = connection.execute(statement("prices/candles/taken_range")).one()
    if span.oldest is not None:
        parameters = {"oldest": span.oldest, "newest": span.newest}
        written["1m"] += connection.execute(statement("prices/candles/from_prices"), parameters).rowcount
    for finer, coarser in ROLLUPS:
        width = WIDTHS[coarser]
        made = connection.execute(
            statement("prices/candles/roll_up"), {"finer": finer, "coarser": coarser, "width": width}
        )
        written[coarser] += made.rowcount
    return taken
