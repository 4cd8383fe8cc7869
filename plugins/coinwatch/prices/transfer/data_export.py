"""Prices and candles as Parquet, a file per table, UTC day and exchange, at any fsspec address.

Rows stream from Postgres by COPY, through Arrow's CSV reader, into the file: memory holds a row group, not a day. A
file appears whole or not at all, and the same rows give the same bytes, so a day may be written again at any time.
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
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.transfer import locations as places
from coinwatch.prices.transfer.formats import parquet as lake
from coinwatch.prices.transfer.formats.names import TABLES, Table
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
    """What was written. Days and exchanges without a row have no file, and keep one written before."""

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
    report: Report = lambda table, day, done, all_of_them: None,
) -> ExportResult:
    """Write the UTC days from ``first_day`` to ``last_day``, both included, below ``destination``.

    Candles that are behind are made first. ``report`` is called after every table and day. Raises InvalidRequest for a
    day that is not over by ``now`` or an address nobody knows, NotFound for an unknown exchange, StorageError,
    DatabaseError. A run that fails leaves whole files only; run it again.
    """
    _check_days(first_day, last_day, now)
    system, folder = places.find_place(destination)
    exchanges = _exchanges(engine, exchange)
    if any(table != "prices" for table in tables):
        refresh_candles(engine)
    days = [first_day + number * DAY for number in range((last_day - first_day).days + 1)]
    steps = [(table, day) for day in days for table in tables]
    files: list[ExportedFile] = []
    for done, (table, day) in enumerate(steps, 1):
        for code in exchanges:
            written = _write(engine, system, lake.path_of(folder, table, day, code), table, day, code)
            if written:
                files.append(written)
        report(table, day, done, len(steps))
    result = ExportResult(files)
    log.info(
        "history exported",
        path=places.shown(destination),
        first_day=str(first_day),
        last_day=str(last_day),
        files=len(files),
        rows=result.rows,
        bytes=result.size,
    )
    return result


def _check_days(first_day: date, last_day: date, now: datetime) -> None:
    if first_day > last_day:
        raise InvalidRequest("to", f"The first day, {first_day}, lies after the last, {last_day}.")
    over = now.astimezone(UTC).date() - DAY
    if last_day > over:
        raise InvalidRequest("to", f"{last_day} is not over yet in UTC. The last day that can be exported is {over}.")


def _exchanges(engine: Engine, wanted: str | None) -> list[str]:
    with transaction(engine) as connection:
        codes = list(connection.execute(statement("prices/catalog/select_exchange_codes")).scalars())
    if wanted is None:
        return codes
    if wanted.strip().lower() not in codes:
        raise NotFound(
            f"There is no exchange {wanted!r}. Known: {', '.join(codes) or 'none yet (run coinwatch migrate)'}."
        )
    return [wanted.strip().lower()]


def _write(
    engine: Engine, system: AbstractFileSystem, path: str, table: Table, day: date, exchange: str
) -> ExportedFile | None:
    """Write one file; None, and no file, if there is not a row."""
    schema, address = lake.schema(table, exchange, day), places.address_of(system, path)
    with transaction(engine) as connection, closing(_row_groups(connection, table, exchange, day, schema)) as groups:
        first = next(groups, None)
        if first is None:
            return None
        rows = 0
        with places.storage_errors(address, writing=True), places.written_whole(system, path) as file:
            with pq.ParquetWriter(file, schema, compression="zstd", version="2.6") as writer:
                for group in chain([first], groups):
                    writer.write_table(group, row_group_size=ROW_GROUP)
                    rows += len(group)
            size = file.tell()
    return ExportedFile(address, rows, size)


def _row_groups(
    connection: Connection, table: Table, exchange: str, day: date, schema: pa.Schema
) -> Generator[pa.Table, None, None]:
    """The rows of a day, a row group at a time; a group always ends at the same row, whatever the network does."""
    whole_day = utc_day(day)
    parameters: dict[str, object] = {"exchange": exchange, "start": whole_day.start, "end": whole_day.end}
    if table == "prices":
        query = statement("prices/transfer/export_prices")
    else:
        query = statement("prices/transfer/export_candles")
        parameters["resolution"] = table.removeprefix("candles_")
    # COPY takes no parameters: psycopg quotes them into the statement. Plans see the days, and prune by them.
    select = str(query.compile(connection.engine)).rstrip().removesuffix(";")
    command = f"COPY ({select}) TO STDOUT (FORMAT csv)".encode()
    reading = pc.ReadOptions(column_names=schema.names)
    types = dict(zip(schema.names, schema.types, strict=True))
    converting = pc.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False)
    with driver_connection(connection).cursor() as cursor, cursor.copy(command, parameters) as rows:
        while block := b"".join(islice(rows, ROW_GROUP)):
            found = pc.read_csv(pa.BufferReader(block), read_options=reading, convert_options=converting)
            yield found.cast(schema).combine_chunks()
