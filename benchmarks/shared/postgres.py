"""A durable Postgres for benchmarks, with coinwatch's tables."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg import sql

from benchmarks.shared.market import EXCHANGE, INSTRUMENTS, instruments
from coinwatch.database import create_engine
from coinwatch.exchanges.models import Instrument
from coinwatch.migrations import migrate, setup_database
from tests.support.postgres import PostgresServer, postgres_server

TEMPLATE = "coinwatch"
# Everything else, including autovacuum, work_mem and planner costs, has Postgres' defaults.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_wal_size": "2GB"}
CATALOG = """
INSERT INTO exchanges (code, name, enabled) VALUES (%(exchange)s, %(exchange)s, true);
INSERT INTO coins (code, name, position) SELECT 'C' || n, 'Coin ' || n, n FROM generate_series(1, %(count)s) n;
INSERT INTO instruments (exchange_id, base, quote, symbol)
SELECT id, 'C' || n, 'USD', 'C' || n || 'USD' FROM exchanges, generate_series(1, %(count)s) n
WHERE exchanges.code = %(exchange)s ORDER BY n;
"""


@dataclass(frozen=True)
class Database:
    """One database of the server; ``ids`` maps its instruments to 1 to 1,000."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        """The URL of the application's role."""
        return self.server.url(self.name, "coinwatch_app")

    @property
    def admin_url(self) -> str:
        return self.server.url(self.name)

    @property
    def ids(self) -> dict[Instrument, int]:
        return {instrument: number for number, instrument in enumerate(instruments(), 1)}

    def engine(self) -> sa.Engine:
        return create_engine(self.url)

    def admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.admin_url, autocommit=True)

    def pages_touched(self) -> int:
        """Pages read by all finished sessions, from memory or disk."""
        time.sleep(1)  # a session that has just ended may not be counted yet
        with self.admin() as connection:
            found = connection.execute(
                "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        return int(str(found[0])) if found else 0

    def bytes_of(self, *tables: str) -> int:
        """Size on disk including indexes and all partitions."""
        with self.admin() as connection:
            found = connection.execute(
                "SELECT sum(pg_total_relation_size(relid)) FROM unnest(%s::text[]) t, pg_partition_tree(t::regclass)",
                [list(tables)],
            ).fetchone()
        return int(str(found[0])) if found else 0


@contextmanager
def benchmark_server() -> Iterator[PostgresServer]:
    """A server with durable commits and a quarter of the memory as shared buffers, as its manual advises."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with postgres_server(DURABLE | {"shared_buffers": f"{memory // 4 // 2**20}MB"}, on_disk=True) as server:
        roles = ("coinwatch_owner", "coinwatch_app", "coinwatch_reader")
        setup_database(server.url("postgres"), *(server.url(TEMPLATE, role) for role in roles))
        owner = create_engine(server.url(TEMPLATE, "coinwatch_owner"))
        migrate(owner, price_retention_days=1)  # the benchmarks choose which days to drop
        owner.dispose()
        with psycopg.connect(server.url(TEMPLATE)) as connection, connection.cursor() as cursor:
            for statement in CATALOG.split(";")[:-1]:
                cursor.execute(statement, {"exchange": EXCHANGE, "count": INSTRUMENTS})
        yield server


def make_database(server: PostgresServer, name: str) -> Database:
    """A new database with coinwatch's tables and the market's instruments, nothing else."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE))
        )
    database = Database(server, name)
    with database.admin() as connection:
        numbered = connection.execute("SELECT min(id), max(id) FROM instruments WHERE base ~ '^C[0-9]'").fetchone()
    if numbered != (1, INSTRUMENTS):
        raise RuntimeError(f"instruments are numbered {numbered}, not from 1 to {INSTRUMENTS}")
    return database
