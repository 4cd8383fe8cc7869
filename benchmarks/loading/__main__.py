"""Loading quotes, beside server-side COPY into the same table: ``python -m benchmarks.loading``.

Ours: ``load_quotes`` from Quote objects in Python to committed rows (COPY into a temporary table, one INSERT … ON
CONFLICT, the counting). The limit: ``COPY prices FROM`` a file on the server, which neither parses in Python nor
minds repeats. The peer: psycopg's executemany with the same ON CONFLICT. Each round loads into empty partitions, in
turns; Postgres runs with its usual durability.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from coinwatch.database import create_engine
from coinwatch.exchanges.domain import Instrument, Quote
from coinwatch.migrations import migrate, setup_database
from coinwatch.prices.loading import load_quotes
from coinwatch.prices.partitions import ensure_partitions
from tests.support.postgres import PostgresServer, postgres_server

START = datetime(2026, 3, 1, tzinfo=UTC)
INSTRUMENTS = 1000
GOAL = 0.5
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_wal_size": "4GB"}
INSERT = "INSERT INTO prices VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 100_000, 500_000], help="rows per load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    arguments = parser.parse_args()
    with postgres_server(DURABLE) as server:
        url = prepare(server)
        figures = [measure(server, url, rows, arguments.rounds) for rows in arguments.rows]
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{'rows':>9} {'way':<22}{'rows/s':>12}{'of the limit':>14}")
    for figure in figures:
        limit = figure["rows_per_second"]["server-side COPY"]
        for way, speed in figure["rows_per_second"].items():
            print(f"{figure['rows']:>9} {way:<22}{speed:>12,.0f}{speed / limit:>14.2f}")
    print(f"goal for load_quotes: at least {GOAL} of server-side COPY")


def prepare(server: PostgresServer) -> str:
    """A migrated database; the application's URL."""
    roles = ("coinwatch_owner", "coinwatch_app", "coinwatch_reader")
    setup_database(server.url("postgres"), *(server.url("coinwatch", role) for role in roles))
    owner = create_engine(server.url("coinwatch", "coinwatch_owner"))
    migrate(owner)
    owner.dispose()
    return server.url("coinwatch", "coinwatch_app")


def measure(server: PostgresServer, url: str, rows: int, rounds: int) -> dict[str, Any]:
    """Median rows per second of each way to load so many rows."""
    quotes = make_quotes(rows)
    ids = {quote.instrument: number for number, quote in enumerate(quotes[:INSTRUMENTS], 1)}
    engine = create_engine(url)
    ensure_partitions(engine, {quote.observed_at.date() for quote in quotes})
    with (
        psycopg.connect(server.url("coinwatch"), autocommit=True) as connection,
        tempfile.TemporaryDirectory() as folder,
    ):
        file = Path(folder) / "prices.copy"
        Path(folder).chmod(0o755)
        file.write_text("".join("\t".join(map(str, row(quote, ids))) + "\n" for quote in quotes).replace("None", r"\N"))
        file.chmod(0o644)
        ways: dict[str, Callable[[], object]] = {
            "server-side COPY": lambda: connection.execute(f"COPY prices FROM '{file}'"),
            "coinwatch load_quotes": lambda: load(engine, ids, quotes),
            "executemany": lambda: execute_many(url, ids, quotes),
        }
        if rows > 200_000:
            del ways["executemany"]
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                connection.execute("TRUNCATE prices")
                connection.execute("CHECKPOINT")
                began = time.perf_counter()
                run()
                seconds[way].append(time.perf_counter() - began)
                assert connection.execute("SELECT count(*) FROM prices").fetchone() == (rows,)
    engine.dispose()
    return {
        "rows": rows,
        "rows_per_second": {way: rows / statistics.median(values) for way, values in seconds.items()},
        "seconds": seconds,
    }


def make_quotes(rows: int) -> list[Quote]:
    """Quotes of 1,000 instruments, a minute apart, as an exchange hands them over: time by time."""
    instruments = [Instrument("kraken", f"C{number}", "USD", f"C{number}USD") for number in range(INSTRUMENTS)]
    return [
        Quote(
            instrument=instruments[number % INSTRUMENTS],
            price=100 + number / 7,
            observed_at=(moment := START + timedelta(minutes=number // INSTRUMENTS)),
            received_at=moment,
            volume_24h=number / 3,
            bid=99 + number / 7,
            ask=101 + number / 7,
        )
        for number in range(rows)
    ]


def row(quote: Quote, ids: dict[Instrument, int]) -> tuple[object, ...]:
    return (
        ids[quote.instrument],
        quote.observed_at,
        quote.price,
        quote.volume_24h,
        quote.bid,
        quote.ask,
        quote.received_at,
    )


def load(engine: sa.Engine, ids: dict[Instrument, int], quotes: Sequence[Quote]) -> None:
    load_quotes(engine, ids, quotes, now=START + timedelta(days=20), max_age=timedelta(days=30))


def execute_many(url: str, ids: dict[Instrument, int], quotes: Sequence[Quote]) -> None:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT, [row(quote, ids) for quote in quotes])


if __name__ == "__main__":
    main()
