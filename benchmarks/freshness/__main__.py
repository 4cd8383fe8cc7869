"""Refreshing candles while the stored history grows: ``python -m benchmarks.freshness``.

coinwatch: ``load_quotes`` with 1,000 new quotes per cycle, then ``refresh_candles`` (minutes, hours and days).
Competitor: REFRESH MATERIALIZED VIEW CONCURRENTLY of the same daily open, high, low, close and volume, computed from
the stored prices, with 1,000 new rows before each refresh. Each size has its own database with 1,000 instruments and
a quote every 3 minutes. Databases take turns for each cycle, so that other load on the machine affects all of them;
the competitor's refreshes follow.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa
import structlog

from benchmarks.shared.history import CYCLE_MINUTES, NOW_MINUTE, fill, moment
from benchmarks.shared.market import INSTRUMENTS, quotes
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.ingest.loading import load_quotes
from tests.support.postgres import PostgresServer

GOAL = 1.3
WARM_UP, CYCLES = 20, 40  # of 3 minutes: complete hours
BYTES_PER_ROW = 400  # prices and candles on disk, including the competitor's sort and the write-ahead log
COMPETITOR_WORK_MEM = "256MB"
VIEW = """
CREATE MATERIALIZED VIEW competitor_daily_ohlcv AS
SELECT instrument_id, date_trunc('day', observed_at, 'UTC') AS day, (array_agg(price ORDER BY observed_at))[1] AS open,
       max(price) AS high, min(price) AS low, (array_agg(price ORDER BY observed_at))[count(*)] AS close,
       max(volume_24h) AS volume
FROM prices GROUP BY 1, 2
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000, 100_000_000], help="stored prices"
    )
    parser.add_argument(
        "--competitor-seconds", type=float, default=300, help="stop the competitor's refreshes after this time"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    sizes = sorted(arguments.sizes)
    if shutil.disk_usage(tempfile.gettempdir()).free < sum(sizes) * BYTES_PER_ROW:
        parser.exit(
            1, f"{sum(sizes):,} prices need {sum(sizes) * BYTES_PER_ROW / 1e9:.0f} GB in {tempfile.gettempdir()}\n"
        )
    with benchmark_server() as server:
        show(run(server, sizes, arguments.competitor_seconds), as_json=arguments.json)


def run(server: PostgresServer, sizes: Sequence[int], competitor_seconds: float) -> Report:
    databases: dict[int, Database] = {}
    for size in sizes:
        say(f"{size:,} prices: filling")
        databases[size] = make_database(server, f"history_{size}")
        fill(databases[size], size)
    say("measuring cycles")
    before = {size: database.pages_touched() for size, database in databases.items()}
    seconds = our_cycles(databases)
    pages = {
        size: (database.pages_touched() - before[size]) / (WARM_UP + CYCLES) for size, database in databases.items()
    }
    rows: list[Row] = []
    totals: list[float] = []
    details: dict[str, object] = {}
    for size, database in databases.items():
        load, refresh = zip(*seconds[size], strict=True)
        totals.append(statistics.median(map(sum, seconds[size])))
        say(f"{size:,} prices: {totals[-1] * 1000:.0f} ms per cycle; measuring the competitor")
        competitor = competitor_refreshes(database, competitor_seconds)
        rows.append(
            {
                "prices": size,
                "load ms": statistics.median(load) * 1000,
                "refresh ms": statistics.median(refresh) * 1000,
                "cycle ms": totals[-1] * 1000,
                "relative to smallest": totals[-1] / totals[0],
                "pages": pages[size],
                "competitor refresh ms": statistics.median(competitor) * 1000,
                "rounds": len(competitor),
                "competitor / coinwatch": statistics.median(competitor) / totals[-1],
                "GB prices": database.bytes_of("prices") / 1e9,
                "GB candles": database.bytes_of("candles") / 1e9,
            }
        )
        details[f"{size} prices"] = {"load": load, "refresh": refresh, "competitor": competitor}
    growth = totals[-1] / totals[0]
    return Report(
        "freshness",
        f"Refreshing candles: a cycle of {INSTRUMENTS:,} new quotes, median of {CYCLES}",
        rows,
        [Goal(f"largest at most {GOAL} times the smallest", growth, growth <= GOAL)],
        [
            "load is load_quotes, refresh is refresh_candles (minutes, hours, days); caches warm",
            "pages: 8 KB pages that Postgres accessed per cycle; unlike times, they are independent of load",
            f"competitor: REFRESH MATERIALIZED VIEW CONCURRENTLY without loading, work_mem {COMPETITOR_WORK_MEM}",
        ],
        details,
    )


def our_cycles(databases: Mapping[int, Database]) -> dict[int, list[tuple[float, float]]]:
    """Seconds of loading and refreshing in each cycle, by size."""
    engines = {size: database.engine() for size, database in databases.items()}
    seconds: dict[int, list[tuple[float, float]]] = {size: [] for size in databases}
    for number in range(-WARM_UP, CYCLES):
        minute = NOW_MINUTE + (number + WARM_UP) * CYCLE_MINUTES
        for size, database in databases.items():
            spent = our_cycle(engines[size], database, minute)
            if number >= 0:
                seconds[size].append(spent)
    for engine in engines.values():
        engine.dispose()
    return seconds


def our_cycle(engine: sa.Engine, database: Database, minute: int) -> tuple[float, float]:
    new = list(quotes(minute, 1))
    began = time.perf_counter()
    loaded = load_quotes(engine, database.ids, new, now=moment(minute), max_age=timedelta(days=30))
    between = time.perf_counter()
    refreshed = refresh_candles(engine)
    ended = time.perf_counter()
    if loaded.inserted != INSTRUMENTS or refreshed.written["1d"] != INSTRUMENTS:
        raise RuntimeError(f"unexpected result of a cycle: {loaded}, {refreshed}")
    return between - began, ended - between


def competitor_refreshes(database: Database, max_seconds: float) -> list[float]:
    """Return the seconds of each refresh."""
    minute = NOW_MINUTE + (WARM_UP + CYCLES) * CYCLE_MINUTES
    engine = database.engine()
    spent: list[float] = []
    with database.admin() as connection:
        connection.execute(f"SET work_mem = '{COMPETITOR_WORK_MEM}'")
        connection.execute(VIEW)
        connection.execute("CREATE UNIQUE INDEX ON competitor_daily_ohlcv (instrument_id, day)")
        connection.execute("ANALYZE competitor_daily_ohlcv")
        while len(spent) < CYCLES and sum(spent) < max_seconds:
            load_quotes(engine, database.ids, list(quotes(minute, 1)), now=moment(minute), max_age=timedelta(days=30))
            minute += CYCLE_MINUTES
            began = time.perf_counter()
            connection.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY competitor_daily_ohlcv")
            spent.append(time.perf_counter() - began)
        connection.execute("DROP MATERIALIZED VIEW competitor_daily_ohlcv")
    engine.dispose()
    return spent


if __name__ == "__main__":
    main()
