"""The Parquet files that the export writes and the import reads: one per table, UTC day and exchange.

    DESTINATION/prices/day=2026-11-20/exchange=kraken/part-0.parquet
    DESTINATION/candles_1m/day=2026-11-20/exchange=kraken/part-0.parquet

``day`` and ``exchange`` are in the path (and in the file's metadata), not in columns, as Hive, BigQuery, Athena and
DuckDB expect. Times are UTC in microseconds; the metadata of each field contains its unit.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, Resolution
from coinwatch.prices.transfer.formats.names import TABLES, Table
from coinwatch.prices.transfer.locations import join, storage_errors
from coinwatch.time_range import EPOCH

MOMENT = pa.timestamp("us", tz="UTC")
ROWS_AT_ONCE = 65_536
EXCHANGE_FOLDER = re.compile(r"/exchange=([^/]+)/")

PRICE_FIELDS = [
    ("base", pa.string(), "code of the coin"),
    ("quote", pa.string(), "code of the currency of the price"),
    ("observed_at", MOMENT, "UTC"),
    ("price", pa.float64(), "quote currency for one unit of the base currency"),
    ("volume_24h", pa.float64(), "base currency, rolling 24 hours: do not sum over time"),
    ("bid", pa.float64(), "quote currency"),
    ("ask", pa.float64(), "quote currency"),
    ("received_at", MOMENT, "UTC"),
]
CANDLE_FIELDS = [
    ("base", pa.string(), "code of the coin"),
    ("quote", pa.string(), "code of the currency of the prices"),
    ("opened_at", MOMENT, "UTC"),
    ("open", pa.float64(), "quote currency"),
    ("high", pa.float64(), "quote currency"),
    ("low", pa.float64(), "quote currency"),
    ("close", pa.float64(), "quote currency"),
    ("volume", pa.float64(), "base currency traded within the candle; null where unknown"),
    ("trades", pa.int32(), "number of trades within the candle; null where unknown"),
    ("samples", pa.int32(), "number of our own quotes the candle is made of; null where none"),
    ("source", pa.string(), "exchange, rollup (of finer candles) or quotes (our own)"),
]


class ExportRow(NamedTuple):
    """A row of a file: its instrument, its time (aware, UTC), and the values of the other columns."""

    line: int
    exchange: str
    base: str
    quote: str
    moment: datetime
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ExportFile:
    """An open export file. Each row has the columns of ``table`` after the key, in the order of the schema."""

    table: Table
    rows: Iterator[ExportRow]
    size: int


def build_schema(table: Table, exchange: str, day: date) -> pa.Schema:
    """The columns with their units; the metadata contains the table, exchange and day."""
    fields = PRICE_FIELDS if table == "prices" else CANDLE_FIELDS
    about = {"coinwatch.table": table, "coinwatch.exchange": exchange, "coinwatch.day": day.isoformat()}
    return pa.schema([pa.field(name, kind, metadata={"unit": unit}) for name, kind, unit in fields], metadata=about)


def build_path(folder: str, table: Table, day: date, exchange: str) -> str:
    """The path of the file of a table, UTC day and exchange."""
    return join(folder, table, f"day={day.isoformat()}", f"exchange={exchange}", "part-0.parquet")


def find_parquet_files(system: AbstractFileSystem, folder: str) -> list[str]:
    """All Parquet files in a folder and its subfolders, sorted. Raises StorageError."""
    with storage_errors(folder):
        found = system.find(folder)
    return sorted(path for path in found if path.endswith(".parquet") and "/." not in path)


def open_export_file(
    file: Any, path: str, exchange: str | None = None, resolution: Resolution | None = None
) -> ExportFile:
    """Open a Parquet file that coinwatch exported, or that another tool made from an export.

    The exchange comes from a column, the metadata, the path or ``exchange``, in this order; the resolution likewise.
    Raises InvalidRequest if the file is damaged or contains something else.
    """
    name = path.rpartition("/")[2]
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise InvalidRequest("file", f"{path} is not a valid Parquet file: {_first_line(error)}.") from None
    about = {key.decode(): value.decode() for key, value in (parquet.schema_arrow.metadata or {}).items()}
    columns = set(parquet.schema_arrow.names)
    table = _table(about, columns, path, resolution)
    fields = PRICE_FIELDS if table == "prices" else CANDLE_FIELDS
    missing = [field for field, _, _ in fields if field not in columns]
    if missing:
        raise InvalidRequest("file", f"{path} is not a coinwatch export: it has no columns {', '.join(missing)}.")
    in_path = EXCHANGE_FOLDER.search(path)
    source = about.get("coinwatch.exchange") or (in_path[1] if in_path else None) or exchange
    if "exchange" not in columns and not source:
        raise InvalidRequest("exchange", f"The exchange of {name} is unknown. Pass it with --exchange.")
    return ExportFile(table, _rows(parquet, path, fields, source or ""), parquet.metadata.num_rows)


def _table(about: dict[str, str], columns: set[str], path: str, resolution: Resolution | None) -> Table:
    if "observed_at" in columns:
        return "prices"
    stated = [about.get("coinwatch.table"), *reversed(path.split("/")), f"candles_{resolution}"]
    for table in TABLES:
        if table != "prices" and table == next((name for name in stated if name in TABLES), None):
            return table
    resolutions = ", ".join(STORED_RESOLUTIONS)
    raise InvalidRequest(
        "resolution", f"The resolution of {path} is unknown. Pass it with --resolution: {resolutions}."
    )


def _rows(
    parquet: pq.ParquetFile, path: str, fields: list[tuple[str, Any, str]], default_exchange: str
) -> Iterator[ExportRow]:
    names = [name for name, _, _ in fields]
    with_exchange = "exchange" in parquet.schema_arrow.names
    line = 0
    try:
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=[*names, "exchange"] if with_exchange else names):
            columns = [_values(batch.column(name), kind) for name, kind, _ in fields]
            exchanges = (
                _values(batch.column("exchange"), pa.string()) if with_exchange else [default_exchange] * len(batch)
            )
            for exchange, base, quote, moment, *values in zip(exchanges, *columns, strict=True):
                line += 1
                yield ExportRow(line, exchange, base, quote, moment, tuple(values))
    except (pa.ArrowException, OSError) as error:
        raise InvalidRequest("file", f"{path} is damaged after row {line}: {_first_line(error)}.") from None


def _values(column: pa.Array, kind: pa.DataType) -> list[Any]:
    """Python values, converted back to our types if another tool changed them."""
    if not pa.types.is_timestamp(kind):
        return list(column.cast(kind).to_pylist())
    if not pa.types.is_timestamp(column.type):
        raise pa.ArrowInvalid(f"a time is of type {column.type}, not a timestamp")
    microseconds = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False).cast(pa.int64()).to_pylist()
    return [None if count is None else EPOCH + timedelta(microseconds=count) for count in microseconds]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["unknown reason"])[0]
