"""Import of candles and prices from the files of exchanges and data providers, plain CSV and our own Parquet.

Rows are read, validated and stored in batches, so a file can have any size. They are validated like an exchange's
responses; what is rejected, repaired or unusual is counted by reason. Importing a file again changes nothing.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from fsspec import AbstractFileSystem
from sqlalchemy import Engine

from coinwatch.errors import InvalidRequest, RequestError, StorageError
from coinwatch.exchanges.models import RawCandle
from coinwatch.formatting import format_timestamp
from coinwatch.prices.candle_validation import RAW_LENGTH, CandleValidator, ValidCandle, volumes_fit
from coinwatch.prices.candles.refresh import RefreshResult, refresh_candles
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.prices.candles.storage import StoredCandle, StoreResult, store_candles
from coinwatch.prices.corporate_actions import Restatement
from coinwatch.prices.instrument_lookup import InstrumentLookup, KnownInstrument, load_instrument_lookup
from coinwatch.prices.transfer.formats.csv_file import PARQUET, open_csv, read_signature
from coinwatch.prices.transfer.formats.detection import detect_format
from coinwatch.prices.transfer.formats.names import Format
from coinwatch.prices.transfer.formats.rows import BadRow, CandleFile, detect_resolution
from coinwatch.prices.transfer.locations import modified_at
from coinwatch.prices.transfer.progress import ImportProgress, Report
from coinwatch.prices.transfer.restore import restore_file
from coinwatch.prices.transfer.sources import Source, find_sources

ROWS_AT_ONCE = 20_000
MAYBE_INCOMPLETE = "is the newest row and may not be complete, because it is unknown when the file was written"
DETECTION_ROWS = 1000  # read before the first is stored, to detect the resolution


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user knows about the files; None for what the files themselves contain.

    With ``volume`` False, the volume is not imported, because it is not in the base currency.
    """

    exchange: str | None = None
    instrument: str | None = None
    format: Format = "auto"
    resolution: Resolution | None = None
    volume: bool = True


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """The result of one file.

    ``rejected``, ``repaired`` and ``unusual`` count rows by reason, as in ``ValidationReport``; ``examples`` are the
    first rejected rows, with their line.

    ``problem`` is the error message if the file could not be read, or not completely.
    """

    path: str
    contents: str
    rows: int
    stored: StoreResult
    rejected: Mapping[str, int]
    repaired: Mapping[str, int]
    unusual: Mapping[str, int]
    examples: Sequence[str]
    problem: str | None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The results of all files, and of refreshing the candles; ``refreshed`` is None if nothing changed."""

    files: Sequence[ImportedFile]
    refreshed: RefreshResult | None


def import_files(
    engine: Engine,
    paths: Sequence[str],
    options: ImportOptions,
    now: datetime,
    report: Report = lambda _: None,
) -> ImportResult:
    """Import files, and folders of exported Parquet files, from any fsspec address; then refresh the candles.

    A file that cannot be read does not affect the others. A candle that is not complete by ``now``, or by the time the
    file was written, is rejected.
    ``report`` is called after every 20,000 rows. Raises DatabaseError, and NotFound, InvalidRequest or StorageError for
    a path that cannot be opened.
    """
    instruments = load_instrument_lookup(engine)
    sources = [source for path in paths for source in find_sources(path, instruments)]
    results = []
    for number, source in enumerate(sources, 1):
        progress = ImportProgress(source.address, number, len(sources))
        results.append(_import_file(engine, source, options, instruments, now, progress, report))
    changed = any(result.stored.inserted or result.stored.corrected for result in results)
    return ImportResult(results, refresh_candles(engine) if changed else None)


def _import_file(
    engine: Engine,
    source: Source,
    options: ImportOptions,
    instruments: InstrumentLookup,
    now: datetime,
    progress: ImportProgress,
    report: Report,
) -> ImportedFile:
    problem = None
    system, path, _ = source
    validation = progress.validation
    report(progress)
    try:
        written = modified_at(system, path)
        if _is_parquet(system, path, options.format):
            given = options.exchange, options.resolution
            complete_until = now if written is None else min(now, written)
            restore_file(engine, system, path, instruments, now, complete_until, progress, report, *given)
        else:
            _import_text(engine, source, options, instruments, now, written, progress, report)
        if progress.rows and validation.rejected.total() == progress.rows:
            raise InvalidRequest("file", f"{path} has no valid rows: {validation.examples[0]}.")
    except (RequestError, StorageError) as error:
        problem = str(error)
    progress.part = 1.0
    report(progress)
    return ImportedFile(
        source.address,
        progress.contents,
        progress.rows,
        progress.stored,
        validation.rejected,
        validation.repaired,
        validation.unusual,
        validation.examples,
        problem,
    )


def _is_parquet(system: AbstractFileSystem, path: str, wanted: Format) -> bool:
    return wanted == "parquet" or (wanted == "auto" and read_signature(system, path) == PARQUET)


def _import_text(
    engine: Engine,
    source: Source,
    options: ImportOptions,
    instruments: InstrumentLookup,
    now: datetime,
    written: datetime | None,
    progress: ImportProgress,
    report: Report,
) -> None:
    path = source.address
    with open_csv(*source) as file:
        found = detect_format(file, options.format)
        known = _instrument(found, options, instruments, path)
        first = list(islice(found.rows, DETECTION_ROWS))
        resolution = _resolution(found, options, first, path)
        if options.volume:
            _check_volumes(first, path)
        progress.contents = f"{resolution} candles of {known.instrument.pair} at {known.instrument.exchange}"
        if found.resolution not in {None, resolution}:
            progress.contents += f" (named {found.resolution})"
        if written and any(isinstance(row, RawCandle) and written < row.opened_at for row in first):
            written = None  # archives and containers set arbitrary times
        validator = _validator(resolution, now, written, progress)
        newest: ValidCandle | None = None
        restatement = Restatement(engine)
        rows = _parsed(chain(first, found.rows), progress, options.volume)
        with _garbage_collection_paused():
            while batch := list(islice(rows, ROWS_AT_ONCE)):
                valid = validator.validate(batch)
                if written is None:
                    valid, newest = _without_newest(valid, newest)
                candles = [StoredCandle(known.instrument_id, candle) for candle, _ in valid]
                restated = restatement.candles(resolution, candles)
                progress.stored += store_candles(engine, resolution, restated, keep_more_complete=True)
                progress.part = file.read()
                report(progress)
        if newest is not None:
            progress.validation.reject(newest.row.line, MAYBE_INCOMPLETE, newest.candle.opened_at.isoformat())


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Rows have no reference cycles, and looking for some takes 40% of the time of an import."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _validator(
    resolution: Resolution, now: datetime, written: datetime | None, progress: ImportProgress
) -> CandleValidator:
    if written is None or written >= now:
        return CandleValidator(resolution, now, progress.validation)
    incomplete = f"is not complete: it ended after the file was written, {format_timestamp(written)}"
    return CandleValidator(resolution, written, progress.validation, incomplete)


def _without_newest(
    valid: list[ValidCandle], newest: ValidCandle | None
) -> tuple[list[ValidCandle], ValidCandle | None]:
    """The candles, which are oldest first, and the one held back so far, without the newest of them."""
    if newest is None or (valid and valid[-1].candle.opened_at >= newest.candle.opened_at):
        released = [newest] if newest else []
        return [*released, *valid[:-1]], valid[-1] if valid else None
    return valid, newest


def _parsed(rows: Iterator[RawCandle | BadRow], progress: ImportProgress, volume: bool) -> Iterator[RawCandle]:
    for row in rows:
        if isinstance(row, BadRow):
            progress.reject(row.line, row.reason, row.raw)
        elif volume:
            yield row
        else:
            yield row._replace(volume=None, quote_volume=None)


def _check_volumes(first: Sequence[RawCandle | BadRow], path: str) -> None:
    if not volumes_fit([row for row in first if isinstance(row, RawCandle)]):
        raise InvalidRequest(
            "file",
            f"{path} has two volumes, but neither is the base volume: the average price they imply is not between the "
            "low and the high of most rows. To import it without volumes, pass --no-volume.",
        )


def _instrument(found: CandleFile, options: ImportOptions, instruments: InstrumentLookup, path: str) -> KnownInstrument:
    exchange, symbol = options.exchange or found.exchange, options.instrument or found.symbol
    if not exchange or not symbol:
        what = "exchange and pair" if not exchange and not symbol else "exchange" if not exchange else "pair"
        raise InvalidRequest(
            "instrument", f"The {what} of {path} is unknown. Pass --exchange CODE --instrument BTC/USDT."
        )
    futures = found.futures or ("it is in the folder data/futures" if "/data/futures/" in f"/{path}" else None)
    if futures and exchange.strip().lower() == "binance":
        raise InvalidRequest(
            "file",
            f"{path} is a dump of Binance's futures, whose prices differ from spot: {futures}. Download the file "
            "from data/spot, or pass --exchange CODE of an exchange configured for the futures.",
        )
    known = instruments.find(exchange, symbol)
    if found.symbol and not found.is_guess and instruments.find(exchange, found.symbol) != known:
        raise InvalidRequest("instrument", f"{path} contains {found.symbol}, not {options.instrument}.")
    return known


def _resolution(
    found: CandleFile, options: ImportOptions, first: Sequence[RawCandle | BadRow], path: str
) -> Resolution:
    opened = [row.opened_at for row in first if isinstance(row, RawCandle)]
    if not opened:
        bad_row = next((row for row in first if isinstance(row, BadRow)), None)
        reason = (
            f"line {bad_row.line} {bad_row.reason}: {bad_row.raw[:RAW_LENGTH]}"
            if bad_row
            else "there are no rows after its header"
        )
        raise InvalidRequest("file", f"{path} has no row that can be read as a candle: {reason}.")
    if options.resolution and found.resolution and options.resolution != found.resolution:
        raise InvalidRequest(
            "resolution", f"{path} contains candles of {found.resolution}, not of {options.resolution}."
        )
    try:
        return detect_resolution(options.resolution or found.resolution, opened, path)
    except InvalidRequest:
        if options.resolution or not found.is_label:
            raise
    return detect_resolution(None, opened, path)
