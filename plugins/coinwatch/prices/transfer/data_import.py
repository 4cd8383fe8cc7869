"""Import of candles and prices from Binance's dumps, CryptoDataDownload's files, plain CSV and our own Parquet.

Rows are read, validated and stored in batches, so a file can have any size. They are validated like an exchange's
answers, and invalid ones are counted by reason. Importing a file again changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from fsspec import AbstractFileSystem
from sqlalchemy import Engine

from coinwatch.errors import InvalidRequest, RequestError, StorageError
from coinwatch.prices.candles.refresh import RefreshResult, refresh_candles
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.prices.candles.storage import StoredCandle, StoreResult, store_candles
from coinwatch.prices.instrument_lookup import InstrumentLookup, KnownInstrument, load_instrument_lookup
from coinwatch.prices.transfer.candle_validation import RAW_LENGTH, CandleValidator, ImportProgress, Report
from coinwatch.prices.transfer.formats.csv_file import PARQUET, open_csv, read_signature
from coinwatch.prices.transfer.formats.detection import detect_format
from coinwatch.prices.transfer.formats.names import Format
from coinwatch.prices.transfer.formats.parquet import find_parquet_files
from coinwatch.prices.transfer.formats.rows import BadRow, CandleFile, RawCandle, detect_resolution
from coinwatch.prices.transfer.locations import full_address, open_location, redact_credentials, storage_errors
from coinwatch.prices.transfer.restore import restore_file

ROWS_AT_ONCE = 50_000
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
    """The result of one file. ``rejected`` counts rows by reason; ``examples`` are the first of them, with their line.

    ``problem`` is the error message if the file could not be read, or not completely.
    """

    path: str
    contents: str
    rows: int
    stored: StoreResult
    rejected: Mapping[str, int]
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

    A file that cannot be read does not affect the others. A candle that is not complete by ``now`` is rejected.
    ``report`` is called after every 50,000 rows. Raises DatabaseError, and NotFound, InvalidRequest or StorageError for
    a path that cannot be opened.
    """
    instruments = load_instrument_lookup(engine)
    found = [(system, file) for path in paths for system, file in _expand(path)]
    results = []
    for number, (system, path) in enumerate(found, 1):
        progress = ImportProgress(full_address(system, path), number, len(found))
        results.append(_import_file(engine, system, path, options, instruments, now, progress, report))
    changed = any(result.stored.inserted or result.stored.corrected for result in results)
    return ImportResult(results, refresh_candles(engine) if changed else None)


def _expand(address: str) -> Iterator[tuple[AbstractFileSystem, str]]:
    system, path = open_location(address)
    with storage_errors(address):
        is_folder = system.isdir(path)
        if not is_folder and not system.exists(path):
            raise FileNotFoundError
    if not is_folder:
        yield system, path
        return
    files = find_parquet_files(system, path)
    if not files:
        raise InvalidRequest(
            "file", f"There are no Parquet files in {redact_credentials(address)}. Pass other files one by one."
        )
    yield from ((system, file) for file in files)


def _import_file(
    engine: Engine,
    system: AbstractFileSystem,
    path: str,
    options: ImportOptions,
    instruments: InstrumentLookup,
    now: datetime,
    progress: ImportProgress,
    report: Report,
) -> ImportedFile:
    problem = None
    report(progress)
    try:
        if _is_parquet(system, path, options.format):
            restore_file(engine, system, path, instruments, now, progress, report, options.exchange, options.resolution)
        else:
            _import_text(engine, system, path, options, instruments, now, progress, report)
        if progress.rows and sum(progress.rejected.values()) == progress.rows:
            raise InvalidRequest("file", f"{path} has no valid rows: {progress.examples[0]}.")
    except (RequestError, StorageError) as error:
        problem = str(error)
    progress.part = 1.0
    report(progress)
    return ImportedFile(
        path, progress.contents, progress.rows, progress.stored, progress.rejected, progress.examples, problem
    )


def _is_parquet(system: AbstractFileSystem, path: str, wanted: Format) -> bool:
    return wanted == "parquet" or (wanted == "auto" and read_signature(system, path) == PARQUET)


def _import_text(
    engine: Engine,
    system: AbstractFileSystem,
    path: str,
    options: ImportOptions,
    instruments: InstrumentLookup,
    now: datetime,
    progress: ImportProgress,
    report: Report,
) -> None:
    with open_csv(system, path) as file:
        found = detect_format(file, options.format)
        known = _instrument(found, options, instruments, path)
        first = list(islice(found.rows, DETECTION_ROWS))
        resolution = _resolution(found, options, first, path)
        progress.contents = f"{resolution} candles of {known.instrument.pair} at {known.instrument.exchange}"
        validator = CandleValidator(resolution, now, progress)
        candles = _checked(chain(first, found.rows), validator, known.instrument_id, options.volume)
        while batch := list(islice(candles, ROWS_AT_ONCE)):
            progress.stored += store_candles(engine, resolution, batch)
            progress.part = file.read()
            report(progress)


def _instrument(found: CandleFile, options: ImportOptions, instruments: InstrumentLookup, path: str) -> KnownInstrument:
    exchange, symbol = options.exchange or found.exchange, options.instrument or found.symbol
    if not exchange or not symbol:
        what = "exchange and pair" if not exchange and not symbol else "exchange" if not exchange else "pair"
        raise InvalidRequest(
            "instrument", f"The {what} of {path} is unknown. Pass --exchange CODE --instrument BTC/USDT."
        )
    known = instruments.find(exchange, symbol)
    if found.symbol and instruments.find(exchange, found.symbol) != known:
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
    return detect_resolution(options.resolution or found.resolution, opened, path)


def _checked(
    raw: Iterator[RawCandle | BadRow], validator: CandleValidator, instrument_id: int, volume: bool
) -> Iterator[StoredCandle]:
    for row in raw:
        if isinstance(row, BadRow):
            validator.progress.reject(row.line, row.reason, row.raw)
            continue
        candle = validator.validate(row.line, row.opened_at, row.prices, row.volume if volume else None, row.trades)
        if candle is not None:
            yield StoredCandle(instrument_id, candle)
