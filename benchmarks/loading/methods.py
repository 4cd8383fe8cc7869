"""Methods of loading a batch of quotes, each from Quote objects as returned by an exchange's adapter.

Guarantee of Postgres: COMMIT returns once the transaction is in the write-ahead log on disk (fsync and
synchronous_commit on, the defaults; https://www.postgresql.org/docs/current/wal-reliability.html).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from benchmarks.shared import influx, victoria
from benchmarks.shared.market import INSTRUMENTS
from benchmarks.shared.postgres import Database
from coinwatch.exchanges.models import Quote
from coinwatch.prices.ingest.loading import load_quotes
from coinwatch.prices.ingest.partitions import ensure_partitions

COLUMNS = "instrument_id, observed_at, price, volume_24h, bid, ask, received_at"
INSERT = f"INSERT INTO prices ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
COMMITTED = "committed is on disk"
# Statements by a part of their text: the parts of load_quotes that end when the statement starts and when it ends.
PARTS = {
    "Days without a partition": ("Python objects", "partitions"),
    "TEMPORARY TABLE": ("COPY", "create batch"),
    "INSERT INTO prices": ("COPY", "insert"),
    "p.price <> b.price": ("other", "conflicts"),
    "Update the newest quote": ("COPY", "latest"),
}


class LoadMethod(ABC):
    """A method of loading; slow ones load only a ``fraction`` of each batch."""

    name: str
    promise = COMMITTED
    fraction = 1.0

    def prepare(self, quotes: Sequence[Quote]) -> None:  # noqa: B027 - most have nothing to prepare
        """Prepare loading; not measured."""

    @abstractmethod
    def load(self, quotes: Sequence[Quote]) -> None:
        """Load a batch; measured."""

    def finish(self) -> None:  # noqa: B027 - most have nothing to finish
        """Finish after the last batch; measured."""

    @abstractmethod
    def count(self) -> int:
        """The number of stored quotes."""

    @abstractmethod
    def disk_bytes(self) -> int | None:
        """Their size on disk; None if it cannot be compared."""


class IntoPostgres(LoadMethod):
    """Loads into the table ``prices`` of its own database."""

    def __init__(self, database: Database, stack: ExitStack) -> None:
        self.database = database
        self.ids = database.ids
        self.connection = stack.enter_context(psycopg.connect(database.admin_url, autocommit=True))

    def prepare(self, quotes: Sequence[Quote]) -> None:
        engine = self.database.engine()
        ensure_partitions(engine, {quote.observed_at.date() for quote in quotes})
        engine.dispose()
        self.connection.execute("CHECKPOINT")

    def count(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM prices").fetchall()[0][0])

    def disk_bytes(self) -> int | None:
        return self.database.bytes_of("prices")

    def row(self, quote: Quote) -> tuple[Any, ...]:
        return (
            self.ids[quote.instrument],
            quote.observed_at,
            quote.price,
            quote.volume_24h,
            quote.bid,
            quote.ask,
            quote.received_at,
        )


class ServerSideCopy(IntoPostgres):
    """The limit: the server reads a local file in the order of the primary key, without checking for duplicates."""

    name = "server-side COPY"

    def __init__(self, database: Database, stack: ExitStack, folder: Path) -> None:
        super().__init__(database, stack)
        self.file = folder / "prices.copy"

    def prepare(self, quotes: Sequence[Quote]) -> None:
        super().prepare(quotes)
        rows = sorted(map(self.row, quotes), key=lambda row: row[:2])
        with self.file.open("w") as file:
            file.writelines("\t".join(map(str, row)) + "\n" for row in rows)
        self.file.chmod(0o644)

    def load(self, quotes: Sequence[Quote]) -> None:
        self.connection.execute(f"COPY prices ({COLUMNS}) FROM '{self.file}'")


class LoadQuotes(IntoPostgres):
    """coinwatch; ``seconds`` has the time spent in each part."""

    name = "coinwatch load_quotes"

    def __init__(self, database: Database, stack: ExitStack) -> None:
        super().__init__(database, stack)
        self.engine = database.engine()
        stack.callback(self.engine.dispose)
        self.seconds: dict[str, float] = {}
        self._marked = 0.0
        sa.event.listen(self.engine, "before_cursor_execute", self._before)
        sa.event.listen(self.engine, "after_cursor_execute", self._after)

    def prepare(self, quotes: Sequence[Quote]) -> None:
        super().prepare(quotes)
        with self.engine.connect():
            """Open the connection, as a worker already has one."""

    def load(self, quotes: Sequence[Quote]) -> None:
        now = quotes[-1].observed_at.astimezone(UTC)
        self._marked = time.perf_counter()
        load_quotes(self.engine, self.ids, quotes, now=now, max_age=timedelta(days=30))
        self._add("commit")

    def _before(self, _connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        self._add(_part_of(text)[0])

    def _after(self, _connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        self._add(_part_of(text)[1])

    def _add(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._marked
        self._marked = now


class ExecuteMany(IntoPostgres):
    name = "executemany"
    fraction = 0.1

    def load(self, quotes: Sequence[Quote]) -> None:
        with psycopg.connect(self.database.url) as connection, connection.cursor() as cursor:
            cursor.executemany(INSERT, [self.row(quote) for quote in quotes])


class RowByRow(IntoPostgres):
    """An INSERT per quote, a commit per cycle of 1,000."""

    name = "row by row"
    fraction = 0.02

    def load(self, quotes: Sequence[Quote]) -> None:
        with psycopg.connect(self.database.url) as connection:
            for first in range(0, len(quotes), INSTRUMENTS):
                for quote in quotes[first : first + INSTRUMENTS]:
                    connection.execute(INSERT, self.row(quote))
                connection.commit()


class IntoVictoria(LoadMethod):
    promise = victoria.VictoriaMetrics.promise

    def __init__(self, server: victoria.VictoriaMetrics, ids: dict[Any, int], *, encoded: bool) -> None:
        self.server, self.ids, self.encoded = server, ids, encoded
        self.name = server.name + (", encoded lines" if encoded else "")
        self._bodies: list[bytes] = []

    def prepare(self, quotes: Sequence[Quote]) -> None:
        if self.encoded:
            self._bodies = list(victoria.bodies_of(quotes, self.ids))

    def load(self, quotes: Sequence[Quote]) -> None:
        self.server.load(self._bodies if self.encoded else victoria.bodies_of(quotes, self.ids))

    def finish(self) -> None:
        self.server.flush()

    def count(self) -> int:
        return self.server.count()

    def disk_bytes(self) -> int | None:
        self.server.settle()
        return self.server.disk_bytes()


class IntoInflux(LoadMethod):
    promise = influx.InfluxDB.promise

    def __init__(self, server: influx.InfluxDB, ids: dict[Any, int], *, encoded: bool) -> None:
        self.server, self.ids, self.encoded = server, ids, encoded
        self.name = server.name + (", encoded lines" if encoded else "")
        self._bodies: list[bytes] = []
        self._touched: list[Quote] = []

    def prepare(self, quotes: Sequence[Quote]) -> None:
        if self.encoded:
            self._bodies = list(influx.bodies_of(quotes, self.ids))
        self._touched.append(quotes[0])

    def load(self, quotes: Sequence[Quote]) -> None:
        self.server.load(self._bodies if self.encoded else influx.bodies_of(quotes, self.ids))

    def count(self) -> int:
        return self.server.count()

    def disk_bytes(self) -> int | None:
        self.server.settle({"autogen": b"\n".join(influx.bodies_of(self._touched, self.ids))})
        return self.server.disk_bytes()


def _part_of(text: str) -> tuple[str, str]:
    return next((parts for piece, parts in PARTS.items() if piece in text), ("other", "other"))
