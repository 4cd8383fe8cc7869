"""Files of candles and prices into the tables: Binance's dumps, CryptoDataDownload's, plain CSV, our own Parquet.

Rows are read, checked and stored as they come, so a file may be of any size. Each passes the gate that an exchange's
answers pass; what does not is counted with its reason. Importing a file again changes nothing.
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
from coinwatch.prices.transfer import locations as places
from coinwatch.prices.transfer.candle_validation import RAW_LENGTH, Gate, Progress, Report
from coinwatch.prices.transfer.formats import csv_file as text
from coinwatch.prices.transfer.formats import detection as recognize
from coinwatch.prices.transfer.formats import parquet as lake
from coinwatch.prices.transfer.formats import rows
from coinwatch.prices.transfer.formats.names import Format
from coinwatch.prices.transfer.restore import restore

ROWS_AT_ONCE = 50_000
ROWS_LOOKED_AT = 1000  # before the first is stored, to see how far apart they are


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a person says of the files; None where the files say it themselves.

    ``volume`` is False where the files' volume is not in the base currency: it stays unknown then.
    """

    exchange: str | None = None
    instrument: str | None = None
    format: Format = "auto"
    resolution: Resolution | None = None
    volume: bool = True


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """What became of one file. ``rejected`` counts rows by reason; ``examples`` are the first of them, with their line.

    ``problem`` is the sentence against the file where it could not be read, or not to its end.
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
    """All files, and the candles made of what was new in them."""

    files: Sequence[ImportedFile]
    refreshed: RefreshResult | None


def import_files(
    engine: Engine,
    paths: Sequence[str],
    options: ImportOptions,
    now: datetime,
    report: Report = lambda _: None,
) -> ImportResult:
    """Import files, and folders of our own Parquet, from any fsspec address; then make the coarser candles.

    A file that cannot be read costs only itself. A candle that is not over by ``now`` is rejected. ``report`` is called
    after every 50,000 rows. Raises DatabaseError, and NotFound, InvalidRequest or StorageError for a path that leads
    nowhere.
    """
    instruments = load_instrument_lookup(engine)
    found = [(system, file) for path in paths for system, file in _expand(path)]
    results = []
    for number, (system, path) in enumerate(found, 1):
        done = Progress(places.address_of(system, path), number, len(found))
        results.append(_import_file(engine, system, path, options, instruments, now, done, report))
    changed = any(result.stored.inserted or result.stored.corrected for result in results)
    return ImportResult(results, refresh_candles(engine) if changed else None)


def _expand(address: str) -> Iterator[tuple[AbstractFileSystem, str]]:
    system, path = places.find_place(address)
    with places.storage_errors(address):
        is_folder = system.isdir(path)
        if not is_folder and not system.exists(path):
            raise FileNotFoundError
    if not is_folder:
        yield system, path
        return
    files = lake.find_files(system, path)
    if not files:
        raise InvalidRequest(
            "file", f"There is no Parquet file in {places.shown(address)}. Name other files one by one."
        )
    yield from ((system, file) for file in files)


def _import_file(
    engine: Engine,
    system: AbstractFileSystem,
    path: str,
    options: ImportOptions,
    instruments: InstrumentLookup,
    now: datetime,
    done: Progress,
    report: Report,
) -> ImportedFile:
    problem = None
    report(done)
    try:
        if _is_parquet(system, path, options.format):
            restore(engine, system, path, instruments, now, done, report, options.exchange, options.resolution)
        else:
            _import_text(engine, system, path, options, instruments, now, done, report)
        if done.rows and sum(done.rejected.values()) == done.rows:
            raise InvalidRequest("file", f"{path} has no row that can be stored: {done.examples[0]}.")
    except (RequestError, StorageError) as error:
        problem = str(error)
    done.part = 1.0
    report(done)
    return ImportedFile(path, done.contents, done.rows, done.stored, done.rejected, done.examples, problem)


def _is_parquet(system: AbstractFileSystem, path: str, wanted: Format) -> bool:
    return wanted == "parquet" or (wanted == "auto" and text.starts_with(system, path) == text.PARQUET)


def _import_text(
    engine: Engine,
    system: AbstractFileSystem,
    path: str,
    options: ImportOptions,
    instruments: InstrumentLookup,
    now: datetime,
    done: Progress,
    report: Report,
) -> None:
    with text.open_text(system, path) as file:
        found = recognize.recognize(file, options.format)
        known = _instrument(found, options, instruments, path)
        first = list(islice(found.rows, ROWS_LOOKED_AT))
        resolution = _resolution(found, options, first, path)
        done.contents = f"{resolution} candles of {known.instrument.pair} at {known.instrument.exchange}"
        gate = Gate(resolution, now, done)
        candles = _checked(chain(first, found.rows), gate, known.instrument_id, options.volume)
        while batch := list(islice(candles, ROWS_AT_ONCE)):
            done.stored += store_candles(engine, resolution, batch)
            done.part = file.read()
            report(done)


def _instrument(
    found: rows.CandleFile, options: ImportOptions, instruments: InstrumentLookup, path: str
) -> KnownInstrument:
    exchange, symbol = options.exchange or found.exchange, options.instrument or found.symbol
    if not exchange or not symbol:
        what = "exchange and pair" if not exchange and not symbol else "exchange" if not exchange else "pair"
        raise InvalidRequest(
            "instrument", f"{path} does not say of which {what} it is: add --exchange CODE --instrument BTC/USDT."
        )
    known = instruments.find(exchange, symbol)
    if found.symbol and instruments.find(exchange, found.symbol) != known:
        raise InvalidRequest("instrument", f"{path} is of {found.symbol}, not of {options.instrument}.")
    return known


def _resolution(
    found: rows.CandleFile, options: ImportOptions, first: Sequence[rows.RawCandle | rows.BadRow], path: str
) -> Resolution:
    opened = [row.opened_at for row in first if isinstance(row, rows.RawCandle)]
    if not opened:
        bad = next((row for row in first if isinstance(row, rows.BadRow)), None)
        why = f"line {bad.line} {bad.reason}: {bad.raw[:RAW_LENGTH]}" if bad else "there is nothing below its header"
        raise InvalidRequest("file", f"{path} has no row that can be read as a candle: {why}.")
    if options.resolution and found.resolution and options.resolution != found.resolution:
        raise InvalidRequest("resolution", f"{path} holds candles of {found.resolution}, not of {options.resolution}.")
    return rows.resolution_of(options.resolution or found.resolution, opened, path)


def _checked(
    raw: Iterator[rows.RawCandle | rows.BadRow], gate: Gate, instrument_id: int, volume: bool
) -> Iterator[StoredCandle]:
    for row in raw:
        if isinstance(row, rows.BadRow):
            gate.done.reject(row.line, row.reason, row.raw)
            continue
        candle = gate.check(row.line, row.opened_at, row.prices, row.volume if volume else None, row.trades)
        if candle is not None:
            yield StoredCandle(instrument_id, candle)
