"""Import of candles and prices from the files of exchanges and data providers, plain CSV and our own Parquet.

Rows are read, validated and stored in batches, so a file can have any size. They are validated like an exchange's
responses; what is rejected, repaired or unusual is counted by reason. Importing a file again changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import NamedTuple

from fsspec import AbstractFileSystem
from sqlalchemy import Engine

from coinwatch.errors import InvalidRequest, NotFound, RequestError, StorageError
from coinwatch.exchanges.models import RawCandle
from coinwatch.prices.candle_validation import RAW_LENGTH, CandleValidator, volumes_fit
from coinwatch.prices.candles.refresh import RefreshResult, refresh_candles
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.prices.candles.storage import StoredCandle, StoreResult, store_candles
from coinwatch.prices.corporate_actions import Restatement
from coinwatch.prices.instrument_lookup import InstrumentLookup, KnownInstrument, load_instrument_lookup
from coinwatch.prices.transfer.formats import kraken
from coinwatch.prices.transfer.formats.csv_file import PARQUET, list_members, open_csv, read_signature
from coinwatch.prices.transfer.formats.detection import detect_format
from coinwatch.prices.transfer.formats.names import Format
from coinwatch.prices.transfer.formats.parquet import find_parquet_files
from coinwatch.prices.transfer.formats.rows import BadRow, CandleFile, detect_resolution
from coinwatch.prices.transfer.locations import (
    full_address,
    modified_at,
    open_location,
    redact_credentials,
    storage_errors,
)
from coinwatch.prices.transfer.progress import ImportProgress, Report
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
    ``report`` is called after every 50,000 rows. Raises DatabaseError, and NotFound, InvalidRequest or StorageError for
    a path that cannot be opened.
    """
    instruments = load_instrument_lookup(engine)
    sources = [source for path in paths for source in _expand(path, instruments)]
    results = []
    for number, source in enumerate(sources, 1):
        progress = ImportProgress(source.address, number, len(sources))
        results.append(_import_file(engine, source, options, instruments, now, progress, report))
    changed = any(result.stored.inserted or result.stored.corrected for result in results)
    return ImportResult(results, refresh_candles(engine) if changed else None)


class _Source(NamedTuple):
    """A file, or a ``member`` of a ZIP archive with several files."""

    system: AbstractFileSystem
    path: str
    member: str | None = None

    @property
    def address(self) -> str:
        address = full_address(self.system, self.path)
        return f"{address}/{self.member}" if self.member else address


def _expand(address: str, instruments: InstrumentLookup) -> Iterator[_Source]:
    system, path = open_location(address)
    if path.endswith(".CHECKSUM"):  # Binance's, selected with BTCUSDT-1m-2022-*
        return
    with storage_errors(address):
        is_folder = system.isdir(path)
        if not is_folder and not system.exists(path):
            raise FileNotFoundError
    if not is_folder:
        members = list_members(system, path) if path.lower().endswith(".zip") else []
        if len(members) > 1 and all(map(kraken.is_archive_member, members)):
            yield from (_Source(system, path, member) for member in _tracked(members, instruments, path))
        else:
            yield _Source(system, path)
        return
    files = find_parquet_files(system, path)
    if not files:
        raise InvalidRequest(
            "file", f"There are no Parquet files in {redact_credentials(address)}. Pass other files one by one."
        )
    yield from (_Source(system, file) for file in files)


def _tracked(members: Sequence[str], instruments: InstrumentLookup, path: str) -> list[str]:
    """The files of Kraken's archive with the pairs and resolutions that coinwatch stores."""
    found = []
    for member in members:
        symbol = kraken.stored_symbol(member)
        try:
            if symbol and instruments.find("kraken", symbol):
                found.append(member)
        except NotFound as error:
            not_found = error
    if not found:
        raise InvalidRequest("file", f"{path} contains no file of a pair tracked on Kraken. {not_found}")
    return found


def _import_file(
    engine: Engine,
    source: _Source,
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
        complete_until = now if written is None else min(now, written)
        if _is_parquet(system, path, options.format):
            given = options.exchange, options.resolution
            restore_file(engine, system, path, instruments, now, complete_until, progress, report, *given)
        else:
            _import_text(engine, source, options, instruments, complete_until, progress, report)
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
    source: _Source,
    options: ImportOptions,
    instruments: InstrumentLookup,
    complete_until: datetime,
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
        validator = CandleValidator(resolution, complete_until, progress.validation)
        restatement = Restatement(engine)
        rows = _parsed(chain(first, found.rows), progress, options.volume)
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            valid = validator.validate(batch)
            candles = [StoredCandle(known.instrument_id, candle) for candle, _ in valid]
            restated = restatement.candles(resolution, candles)
            progress.stored += store_candles(engine, resolution, restated, keep_more_complete=True)
            progress.part = file.read()
            report(progress)


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
    if found.futures and exchange.strip().lower() == "binance":
        raise InvalidRequest(
            "file",
            f"{path} is a dump of Binance's futures, whose prices differ from spot: {found.futures}. Download the file "
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
