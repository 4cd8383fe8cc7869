"""Restoring exported Parquet files: candles with their origin, and prices as they were loaded."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import get_args

from fsspec import AbstractFileSystem
from sqlalchemy import Engine

from coinwatch.exchanges.models import Instrument, Quote, RawCandle
from coinwatch.exchanges.validation import validate_quote
from coinwatch.prices.candle_validation import CandleValidator
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, Resolution
from coinwatch.prices.candles.storage import Source, StoredCandle, StoreResult, store_candles
from coinwatch.prices.candles.time_grid import EARLIEST
from coinwatch.prices.ingest.loading import load_quotes
from coinwatch.prices.instrument_lookup import InstrumentLookup, KnownInstrument
from coinwatch.prices.transfer.formats.names import Table
from coinwatch.prices.transfer.formats.parquet import ExportRow, open_export_file
from coinwatch.prices.transfer.locations import storage_errors
from coinwatch.prices.transfer.progress import ImportProgress, Report

ROWS_AT_ONCE = 50_000
SOURCES = get_args(Source)


def restore_file(
    engine: Engine,
    system: AbstractFileSystem,
    path: str,
    instruments: InstrumentLookup,
    now: datetime,
    complete_until: datetime,
    progress: ImportProgress,
    report: Report,
    exchange: str | None = None,
    resolution: Resolution | None = None,
) -> None:
    """Store the rows of one Parquet file and count them in ``progress``.

    Candles that end after ``complete_until`` are rejected. ``exchange`` and ``resolution`` are for files that do not
    contain them. Raises InvalidRequest if the file is damaged or not an export, StorageError and DatabaseError.
    """
    with storage_errors(path), system.open(path, "rb") as file:
        found = open_export_file(file, path, exchange, resolution)
        progress.contents = found.table
        known = _known(found.rows, instruments, progress)
        if found.table == "prices":
            _restore_prices(engine, known, found.size, now, progress, report)
        else:
            _restore_candles(engine, known, _resolution(found.table), found.size, complete_until, progress, report)


def _resolution(table: Table) -> Resolution:
    return next(resolution for resolution in STORED_RESOLUTIONS if table == f"candles_{resolution}")


def _known(
    rows: Iterator[ExportRow], instruments: InstrumentLookup, progress: ImportProgress
) -> Iterator[tuple[KnownInstrument, ExportRow]]:
    for row in rows:
        known = instruments.get(row.exchange, row.base, row.quote)
        if known is None:
            pair = f"{row.base}/{row.quote} on {row.exchange}"
            progress.reject(row.line, "is for an unknown instrument", pair)
        elif row.moment is None:
            progress.reject(row.line, "has no time", row.values)
        else:
            yield known, row


def _restore_candles(
    engine: Engine,
    rows: Iterator[tuple[KnownInstrument, ExportRow]],
    resolution: Resolution,
    size: int,
    complete_until: datetime,
    progress: ImportProgress,
    report: Report,
) -> None:
    validators: dict[int, CandleValidator] = {}
    remaining = _with_source(rows, progress)
    while batch := list(islice(remaining, ROWS_AT_ONCE)):
        raw: dict[int, list[RawCandle]] = defaultdict(list)
        for known, row in batch:
            raw[known.instrument_id].append(RawCandle._make((row.moment, *row.values[:6], None, row.line)))
        origins = {row.line: row.values[-2:] for _, row in batch}
        candles = []
        for instrument_id, group in raw.items():
            if instrument_id not in validators:
                validators[instrument_id] = CandleValidator(resolution, complete_until, progress.validation)
            valid = validators[instrument_id].validate(group)
            candles += [StoredCandle(instrument_id, candle, *origins[row.line]) for candle, row in valid]
        progress.stored += store_candles(engine, resolution, candles)
        progress.part = progress.rows / size
        report(progress)


def _with_source(
    rows: Iterator[tuple[KnownInstrument, ExportRow]], progress: ImportProgress
) -> Iterator[tuple[KnownInstrument, ExportRow]]:
    for known, row in rows:
        if row.values[-1] in SOURCES:
            yield known, row
        else:
            progress.reject(row.line, "has an unknown source", row.values[-1])


def _restore_prices(
    engine: Engine,
    rows: Iterator[tuple[KnownInstrument, ExportRow]],
    size: int,
    now: datetime,
    progress: ImportProgress,
    report: Report,
) -> None:
    ids: dict[Instrument, int] = {}
    quotes = _quotes(rows, ids, progress)
    while batch := list(islice(quotes, ROWS_AT_ONCE)):
        loaded = load_quotes(engine, ids, batch, now=now, max_age=now - EARLIEST)
        progress.stored += StoreResult(loaded.inserted, 0, loaded.repeated)
        if loaded.conflicting:
            progress.validation.rejected["conflicts with the stored price"] += loaded.conflicting
        for reason, number in loaded.rejected.items():
            progress.validation.rejected[f"is invalid, {reason.value.replace('_', ' ')}"] += number
        progress.validation.rows += len(batch)
        progress.part = progress.rows / size
        report(progress)


def _quotes(
    rows: Iterator[tuple[KnownInstrument, ExportRow]], ids: dict[Instrument, int], progress: ImportProgress
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
            progress.reject(row.line, f"is invalid, {quote.reason.value.replace('_', ' ')}", quote.raw)
