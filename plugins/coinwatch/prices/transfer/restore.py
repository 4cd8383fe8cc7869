"""Our own Parquet back into the tables: candles with all that is known of them, prices as they were loaded."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import get_args

from fsspec import AbstractFileSystem
from sqlalchemy import Engine

from coinwatch.exchanges.models import Instrument, Quote
from coinwatch.exchanges.validation import validate_quote
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, Resolution
from coinwatch.prices.candles.storage import Source, StoredCandle, StoreResult, store_candles
from coinwatch.prices.candles.time_grid import EARLIEST
from coinwatch.prices.ingest.loading import load_quotes
from coinwatch.prices.instrument_lookup import InstrumentLookup, KnownInstrument
from coinwatch.prices.transfer import locations as places
from coinwatch.prices.transfer.candle_validation import Gate, Progress, Report
from coinwatch.prices.transfer.formats import parquet as lake
from coinwatch.prices.transfer.formats.names import Table

ROWS_AT_ONCE = 50_000
SOURCES = get_args(Source)


def restore(
    engine: Engine,
    system: AbstractFileSystem,
    path: str,
    instruments: InstrumentLookup,
    now: datetime,
    done: Progress,
    report: Report,
    exchange: str | None = None,
    resolution: Resolution | None = None,
) -> None:
    """Store the rows of one Parquet file; ``done`` counts them.

    ``exchange`` and ``resolution`` are for files that do not say theirs. Raises InvalidRequest for a file that is
    damaged or no export of ours, StorageError, DatabaseError.
    """
    with places.storage_errors(path), system.open(path, "rb") as file:
        found = lake.open_lake_file(file, path, exchange, resolution)
        done.contents = found.table
        known = _known(found.rows, instruments, done)
        if found.table == "prices":
            _restore_prices(engine, known, found.size, now, done, report)
        else:
            _restore_candles(engine, known, _resolution(found.table), found.size, now, done, report)


def _resolution(table: Table) -> Resolution:
    return next(resolution for resolution in STORED_RESOLUTIONS if table == f"candles_{resolution}")


def _known(
    rows: Iterator[lake.LakeRow], instruments: InstrumentLookup, done: Progress
) -> Iterator[tuple[KnownInstrument, lake.LakeRow]]:
    for row in rows:
        known = instruments.get(row.exchange, row.base, row.quote)
        if known is None:
            pair = f"{row.base}/{row.quote} at {row.exchange}"
            done.reject(row.line, "is of an instrument that is not in the tables", pair)
        elif row.moment is None:
            done.reject(row.line, "has no time", row.values)
        else:
            yield known, row


def _restore_candles(
    engine: Engine,
    rows: Iterator[tuple[KnownInstrument, lake.LakeRow]],
    resolution: Resolution,
    size: int,
    now: datetime,
    done: Progress,
    report: Report,
) -> None:
    candles = _candles(rows, Gate(resolution, now, done))
    while batch := list(islice(candles, ROWS_AT_ONCE)):
        done.stored += store_candles(engine, resolution, batch)
        done.part = done.rows / size
        report(done)


def _candles(rows: Iterator[tuple[KnownInstrument, lake.LakeRow]], gate: Gate) -> Iterator[StoredCandle]:
    for (instrument_id, _), row in rows:
        opening, high, low, close, volume, trades, samples, source = row.values
        if source not in SOURCES:
            gate.done.reject(row.line, "is of an unknown source", source)
            continue
        candle = gate.check(row.line, row.moment, (opening, high, low, close), volume, trades)
        if candle is not None:
            yield StoredCandle(instrument_id, candle, samples, source)


def _restore_prices(
    engine: Engine,
    rows: Iterator[tuple[KnownInstrument, lake.LakeRow]],
    size: int,
    now: datetime,
    done: Progress,
    report: Report,
) -> None:
    ids: dict[Instrument, int] = {}
    quotes = _quotes(rows, ids, done)
    while batch := list(islice(quotes, ROWS_AT_ONCE)):
        loaded = load_quotes(engine, ids, batch, now=now, max_age=now - EARLIEST)
        done.stored += StoreResult(loaded.inserted, 0, loaded.repeated)
        if loaded.conflicting:
            done.rejected["contradicts the price stored for that moment"] += loaded.conflicting
        for reason, number in loaded.rejected.items():
            done.rejected[f"is rejected, {reason.value.replace('_', ' ')}"] += number
        done.passed += loaded.inserted + loaded.repeated
        done.part = done.rows / size
        report(done)


def _quotes(
    rows: Iterator[tuple[KnownInstrument, lake.LakeRow]], ids: dict[Instrument, int], done: Progress
) -> Iterator[Quote]:
    for (instrument_id, instrument), row in rows:
        ids[instrument] = instrument_id
        price, volume_24h, bid, ask, received_at = row.values
        quote = validate_quote(
            instrument, price, received_at or row.moment, row.moment, volume_24h=volume_24h, bid=bid, ask=ask
        )
        if isinstance(quote, Quote):
            yield quote
        else:
            done.reject(row.line, f"is rejected, {quote.reason.value.replace('_', ' ')}", quote.raw)
