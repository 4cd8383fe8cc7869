"""Storing candles of a minute, an hour and a day.

A candle from an exchange replaces one made of our own quotes or of finer candles, never the other way round, and a
newer one from the exchange replaces an older one. Whatever changes a candle adds a time range to ``stale_candles`` in
the same transaction; ``refresh_candles`` then updates the coarser candles of that range.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from sqlalchemy import Connection, Engine

from coinwatch.database import driver_connection, statement, transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.resolutions import Resolution

Source = Literal["exchange", "rollup", "quotes"]

BATCH_ROWS = 50_000
COLUMN_TYPES = ("int4", "timestamptz", "float8", "float8", "float8", "float8", "float8", "int4", "int4", "text")
COPY = (
    "COPY candle_batch (instrument_id, opened_at, open, high, low, close, volume, trades, samples, source)"
    " FROM STDIN (FORMAT binary)"
)


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
    """How many candles were new, replaced another one, or changed nothing."""

    inserted: int = 0
    corrected: int = 0
    unchanged: int = 0

    def __add__(self, other: "StoreResult") -> "StoreResult":
        return StoreResult(
            self.inserted + other.inserted, self.corrected + other.corrected, self.unchanged + other.unchanged
        )


def store_candles(
    engine: Engine, resolution: Resolution, candles: Iterable[StoredCandle], *, keep_more_complete: bool = False
) -> StoreResult:
    """Store complete candles of one resolution; storing the same ones again changes nothing.

    With ``keep_more_complete``, an exchange's candle is not replaced by one that lacks its volume or number of trades;
    such a candle counts as unchanged. Commits every 50,000 candles. Of two candles with the same key, the last wins.
    The coarser candles are updated by the next ``refresh_candles``. Raises DatabaseError.
    """
    total = StoreResult()
    remaining = iter(candles)
    while batch := list(islice(remaining, BATCH_ROWS)):
        with transaction(engine) as connection:
            total += _store_batch(connection, resolution, batch, keep_more_complete)
    return total


def _store_batch(
    connection: Connection, resolution: Resolution, batch: list[StoredCandle], keep_more_complete: bool
) -> StoreResult:
    connection.execute(statement("prices/candles/create_candle_batch"))
    driver = driver_connection(connection)
    with driver.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.set_types(COLUMN_TYPES)
        for instrument_id, candle, samples, source in batch:
            copy.write_row((instrument_id, *candle, samples, source))
    parameters = {"resolution": resolution}
    new = connection.execute(statement("prices/candles/count_new_candles"), parameters).scalar_one()
    upsert = {**parameters, "keep_more_complete": keep_more_complete}
    changed = connection.execute(statement("prices/candles/upsert_candles"), upsert).rowcount
    if changed:
        connection.execute(statement("prices/candles/insert_stale_ranges"), parameters)
    inserted = min(new, changed)
    return StoreResult(inserted, changed - inserted, len(batch) - changed)
