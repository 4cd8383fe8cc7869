"""Keeping candles fresh while the stored history grows: ``python -m benchmarks.freshness``.

Ours: 1,000 new quotes per cycle loaded by ``load_quotes``, then ``refresh_candles`` (minutes, hours and days). The
peer: REFRESH MATERIALIZED VIEW CONCURRENTLY of the same daily open, high, low, close and volume with a unique index,
made of the stored prices, with the same 1,000 new rows before each refresh. Both on the same database, whose history
of 1,000 instruments, a quote every 3 minutes, grows backwards from one size to the next.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta

import structlog

from benchmarks.shared.history import CYCLE_MINUTES, NOW_MINUTE, fill, moment
from benchmarks.shared.market import INSTRUMENTS, quotes
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.prices.candles import refresh_candles
from coinwatch.prices.loading import load_quotes

GOAL = 1.3
CYCLES = 20  # of 3 minutes: an hour, from its first candle to its last
BYTES_PER_ROW = 400  # of prices and candles on the disk, with the peer's sort and the write-ahead log
PEER_WORK_MEM = "256MB"
VIEW = """
CREATE MATERIALIZED VIEW peer_daily_ohlcv AS
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
        "--peer-seconds", type=float, default=300, help="no further refresh of the peer's after this time"
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    sizes = sorted(arguments.sizes)
    if shutil.disk_usage(tempfile.gettempdir()).free < sizes[-1] * BYTES_PER_ROW:
        parser.exit(
            1, f"{sizes[-1]:,} prices need {sizes[-1] * BYTES_PER_ROW / 1e9:.0f} GB in {tempfile.gettempdir()}\n"
        )
    with benchmark_server() as server:
        show(run(make_database(server, "history"), sizes, arguments.peer_seconds), as_json=arguments.json)


def run(database: Database, sizes: Sequence[int], peer_seconds: float) -> Report:
    rows: list[Row] = []
    details: dict[str, object] = {}
    totals: list[float] = []
    stored, minute = 0, NOW_MINUTE
    for size in sizes:
        say(f"{size:,} prices: filling")
        fill(database, size, stored)
        stored = size
        say(f"{size:,} prices: cycles")
        load, refresh = our_cycles(database, minute, CYCLES)
        minute += CYCLES * CYCLE_MINUTES
        say(f"{size:,} prices: the peer")
        peer, minute = peer_refreshes(database, minute, peer_seconds)
        minute = -(-minute // 60) * 60  # the next size's cycles begin with an hour too
        totals.append(statistics.median(map(sum, zip(load, refresh, strict=True))))
        rows.append(
            {
                "prices": size,
                "load ms": statistics.median(load) * 1000,
                "refresh ms": statistics.median(refresh) * 1000,
                "cycle ms": totals[-1] * 1000,
                "to the smallest": totals[-1] / totals[0],
                "peer's refresh ms": statistics.median(peer) * 1000,
                "rounds": len(peer),
                "peer to us": statistics.median(peer) / totals[-1],
                "GB prices": database.bytes_of("prices") / 1e9,
                "GB candles": database.bytes_of("candles") / 1e9,
            }
        )
        details[f"{size} prices"] = {"load": load, "refresh": refresh, "peer": peer}
        say(f"{size:,} prices: {totals[-1] * 1000:.0f} ms a cycle, the peer {statistics.median(peer):.1f} s")
    growth = totals[-1] / totals[0]
    return Report(
        "freshness",
        f"Keeping candles fresh: a cycle of {INSTRUMENTS:,} new quotes, median of {CYCLES}",
        rows,
        [Goal(f"from the smallest to the largest at most {GOAL} times", growth, growth <= GOAL)],
        [
            "load is load_quotes, refresh is refresh_candles (minutes, hours, days); caches warm",
            f"the peer: REFRESH MATERIALIZED VIEW CONCURRENTLY of days, loading not counted, work_mem {PEER_WORK_MEM}",
        ],
        details,
    )


def our_cycles(database: Database, minute: int, cycles: int) -> tuple[list[float], list[float]]:
    """Seconds of loading and of refreshing, for each cycle."""
    engine = database.engine()
    load, refresh = [], []
    for number in range(cycles):
        now = minute + number * CYCLE_MINUTES
        new = list(quotes(now, 1))
        began = time.perf_counter()
        loaded = load_quotes(engine, database.ids, new, now=moment(now), max_age=timedelta(days=30))
        between = time.perf_counter()
        refreshed = refresh_candles(engine)
        ended = time.perf_counter()
        if loaded.inserted != INSTRUMENTS or refreshed.written["1d"] != INSTRUMENTS:
            raise RuntimeError(f"a cycle did not do its work: {loaded}, {refreshed}")
        load.append(between - began)
        refresh.append(ended - between)
    engine.dispose()
    return load, refresh


def peer_refreshes(database: Database, minute: int, seconds_at_most: float) -> tuple[list[float], int]:
    """Seconds of each refresh, and the minute after the last quotes."""
    engine = database.engine()
    spent: list[float] = []
    with database.admin() as connection:
        connection.execute(f"SET work_mem = '{PEER_WORK_MEM}'")
        connection.execute(VIEW)
        connection.execute("CREATE UNIQUE INDEX ON peer_daily_ohlcv (instrument_id, day)")
        connection.execute("ANALYZE peer_daily_ohlcv")
        while len(spent) < CYCLES and sum(spent) < seconds_at_most:
            load_quotes(engine, database.ids, list(quotes(minute, 1)), now=moment(minute), max_age=timedelta(days=30))
            minute += CYCLE_MINUTES
            began = time.perf_counter()
            connection.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY peer_daily_ohlcv")
            spent.append(time.perf_counter() - began)
        connection.execute("DROP MATERIALIZED VIEW peer_daily_ohlcv")
    refresh_candles(engine)
    engine.dispose()
    return spent, minute


if __name__ == "__main__":
    main()
