"""Export of prices and candles as Parquet: one file per table, UTC day and exchange, at any fsspec address.

Rows stream from Postgres by COPY through Arrow's CSV reader into the file, so that memory holds a row group, not a day.
A file is written atomically, and the same rows give the same bytes, so a day can be exported again at any time.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, islice

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import structlog
from fsspec import AbstractFileSystem
from sqlalchemy import Connection, Engine

from coinwatch.database import driver_connection, statement, transaction
from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.transfer.formats.names import TABLES, Table
from coinwatch.prices.transfer.formats.parquet import build_path, build_schema
from coinwatch.prices.transfer.locations import (
    full_address,
    open_atomically,
    open_location,
    redact_credentials,
    storage_errors,
)
from coinwatch.prices.unknown_names import check_names
from coinwatch.time_range import DAY, utc_day

ROW_GROUP = 65536

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file written: ``size`` in bytes."""

    path: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The files written. A day without rows gets no file, and keeps an earlier one."""

    files: Sequence[ExportedFile]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


Report = Callable[[Table, date, int, int], None]


def export_days(
    engine: Engine,
    destination: str,
    first_day: date,
    last_day: date,
    now: datetime,
    *,
    tables: Sequence[Table] = TABLES,
    exchange: str | None = None,
    report: Report = lambda table, day, done, total: None,
) -> ExportResult:
    """Write the UTC days from ``first_day`` to ``last_day``, both inclusive, to the folder ``destination``.

    Stale candles are refreshed first. ``report`` is called after every table and day with the number done and the
    total. Raises InvalidRequest for a day that is not over by ``now`` or an unsupported address, NotFound for an
    unknown exchange, StorageError and DatabaseError. A run that fails leaves only complete files and can be repeated.
    """
    _check_days(first_day, last_day, now)
    system, folder = open_location(destination)
    exchanges = _exchanges(engine, exchange)
    if any(table != "prices" for table in tables):
        refresh_candles(engine)
    days = [first_day + number * DAY for number in range((last_day - first_day).days + 1)]
    steps = [(table, day) for day in days for table in tables]
    files: list[ExportedFile] = []
    for done, (table, day) in enumerate(steps, 1):
        for code in exchanges:
            written = _write(engine, system, build_path(folder, table, day, code), table, day, code)
            if written:
                files.append(written)
        report(table, day, done, len(steps))
    result = ExportResult(files)
    log.info(
        "history exported",
        path=redact_credentials(destination),
        first_day=str(first_day),
        last_day=str(last_day),
        files=len(files),
        rows=result.rows,
        bytes=result.size,
    )
    return result


def _check_days(first_day: date, last_day: date, now: datetime) -> None:
    if first_day > last_day:
        raise InvalidRequest("to", f"The first day, {first_day}, is after the last day, {last_day}.")
    over = now.astimezone(UTC).date() - DAY
    if last_day > over:
        raise InvalidRequest("to", f"{last_day} is not over yet in UTC; the last day that can be exported is {over}.")


def _exchanges(engine: Engine, wanted: str | None) -> list[str]:
    with transaction(engine) as connection:
        if wanted is None:
            return list(connection.execute(statement("prices/catalog/select_exchange_codes")).scalars())
        check_names(connection, exchange=wanted)
        return [wanted.strip().lower()]


def _write(
    engine: Engine, system: AbstractFileSystem, path: str, table: Table, day: date, exchange: str
) -> ExportedFile | None:
    """Write one file; None if there are no rows."""
    schema, address = build_schema(table, exchange, day), full_address(system, path)
    with transaction(engine) as connection, closing(_row_groups(connection, table, exchange, day, schema)) as groups:
        first = next(groups, None)
        if first is None:
            return None
        rows = 0
        with storage_errors(address, writing=True), open_atomically(system, path) as file:
            with pq.ParquetWriter(file, schema, compression="zstd", version="2.6") as writer:
                for group in chain([first], groups):
                    writer.write_table(group, row_group_size=ROW_GROUP)
                    rows += len(group)
            size = file.tell()
    return ExportedFile(address, rows, size)


def _row_groups(
    connection: Connection, table: Table, exchange: str, day: date, schema: pa.Schema
) -> Generator[pa.Table, None, None]:
    """The rows of a day in groups, which always end at the same rows, independent of the network."""
    whole_day = utc_day(day)
    parameters: dict[str, object] = {"exchange": exchange, "start": whole_day.start, "end": whole_day.end}
    if table == "prices":
        query = statement("prices/transfer/export_prices")
    else:
        query = statement("prices/transfer/export_candles")
        parameters["resolution"] = table.removeprefix("candles_")
    # COPY takes no parameters, so psycopg inserts them as literals, by which the planner prunes partitions.
    select = str(query.compile(connection.engine)).rstrip().removesuffix(";")
    command = f"COPY ({select}) TO STDOUT (FORMAT csv)".encode()
    reading = pc.ReadOptions(column_names=schema.names)
    types = dict(zip(schema.names, schema.types, strict=True))
    converting = pc.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False)
    with driver_connection(connection).cursor() as cursor, cursor.copy(command, parameters) as rows:
        while block := b"".join(islice(rows, ROW_GROUP)):
            found = pc.read_csv(pa.BufferReader(block), read_options=reading, convert_options=converting)
            yield found.cast(schema).combine_chunks()
