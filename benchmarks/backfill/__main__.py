"""A month of one-minute candles of 20 instruments, from a venue with a limit: ``python -m benchmarks.backfill``.

Ours: ``backfill_range``, from the first call to the last committed candle. The peers: ccxt's fetch_ohlcv in the loop
of its manual (the next page begins after the last candle), which keeps nothing, and the same writing each page to a
table by executemany, as downloaders do. All keep to the same number of calls a second, by their own means, and then
run once more without a limit, which shows what they could do. The venue is a process of its own; it answers 429 to
who goes faster.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ccxt
import psycopg
import structlog

from benchmarks.backfill.venue import CANDLES_PER_CALL, DAYS, PAIRS, running_venue, symbols
from benchmarks.shared.market import START
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.exchanges.base import THREADS
from coinwatch.prices.backfill.runner import backfill_range
from coinwatch.prices.candles.storage import refresh_candles
from coinwatch.prices.catalog import sync_catalog
from tests.support.postgres import PostgresServer
from tests.support.settings import exchange, make_settings

GOAL = 0.95
NO_LIMIT = 1000.0  # calls a second: the most the setting takes
CREATE = (
    "CREATE TABLE downloaded (symbol text, opened_at timestamptz, o float8, h float8, l float8, c float8, v float8)"
)
INSERT = "INSERT INTO downloaded VALUES (%s, to_timestamp(%s / 1000.0), %s, %s, %s, %s, %s)"


@dataclass(frozen=True)
class Outcome:
    """``waited`` are seconds spent waiting for the limit, on average over the threads that fetch."""

    rows: int
    seconds: float
    requests: int
    waited: float
    processor: float
    refresh: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=25, help="the venue's limit in calls a second")
    parser.add_argument("--days", type=int, default=DAYS, choices=range(1, DAYS + 1), metavar=f"1-{DAYS}")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with benchmark_server() as server:
        show(run(server, arguments.limit, arguments.days), as_json=arguments.json)


def run(server: PostgresServer, limit: float, days: int) -> Report:
    ways: dict[str, Callable[[Database, str, float | None, int], Outcome]] = {
        "coinwatch backfill_range, stored": ours,
        "ccxt loop, nothing kept": lambda *given: through_ccxt(*given, keep=False),
        "ccxt loop, executemany": lambda *given: through_ccxt(*given, keep=True),
    }
    rows: list[Row] = []
    for allowed in (limit, None):
        for way, fetch in ways.items():
            with running_venue(allowed) as url:
                outcome = fetch(make_database(server, "backfill"), url, allowed, days)
            if outcome.rows != PAIRS * days * 1440:
                raise RuntimeError(f"{way} brought {outcome.rows} candles, not {PAIRS * days * 1440}")
            rows.append(row_of(way, allowed, outcome))
            say(f"{way}, limit {allowed}: {outcome.seconds:.1f} s")
    reached = float(str(rows[0]["calls/s"])) / limit
    return Report(
        "backfill",
        f"{days} days of one-minute candles of {PAIRS} instruments, {CANDLES_PER_CALL} a call at most",
        rows,
        [
            Goal(
                f"the venue's limit bounds it: at least {GOAL} of its calls a second are used", reached, reached >= GOAL
            )
        ],
        [
            "waiting: seconds for the limit, averaged over the threads; processor: seconds of this process's threads",
            "refresh: seconds for the hours and days over the new minutes, once afterwards",
        ],
    )


def ours(database: Database, url: str, limit: float | None, days: int) -> Outcome:
    pairs = [f"{name.removesuffix('USDT')}/USDT" for name in symbols()]
    pace = {"history_calls_per_second": limit or NO_LIMIT}
    settings = make_settings(
        coins={pair.split("/")[0]: {"name": pair} for pair in pairs},
        exchanges={"binance": exchange("Binance", *pairs, base_url=url, **pace)},
    )
    engine = database.engine()
    sync_catalog(engine, settings)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    began, busy = time.perf_counter(), time.process_time()
    result = backfill_range(engine, settings, "binance", START, START + timedelta(days=days), sleep=sleep)
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    if result.failed:
        raise RuntimeError(f"not all were fetched: {result.failed}")
    began = time.perf_counter()
    refresh_candles(engine)
    refresh = time.perf_counter() - began
    engine.dispose()
    return Outcome(result.stored.inserted, seconds, result.requests, sum(slept) / THREADS, processor, refresh)


def through_ccxt(database: Database, url: str, limit: float | None, days: int, *, keep: bool) -> Outcome:
    """The loop of ccxt's manual for OHLCV by pages."""
    venue, waits = ccxt_venue(url, limit)
    first, last = (round((START + timedelta(days=offset)).timestamp() * 1000) for offset in (0, days))
    fetched = calls = 0
    with psycopg.connect(database.admin_url) as connection:
        connection.execute(CREATE)
        connection.commit()
        began, busy = time.perf_counter(), time.process_time()
        for symbol in venue.symbols:
            since = first
            while since < last:
                page = [row for row in venue.fetch_ohlcv(symbol, "1m", since, CANDLES_PER_CALL) if row[0] < last]
                calls += 1
                fetched += len(page)
                since = page[-1][0] + 60_000
                if keep:
                    with connection.cursor() as cursor:
                        cursor.executemany(INSERT, [(symbol, *row) for row in page])
                    connection.commit()
        seconds, processor = time.perf_counter() - began, time.process_time() - busy
    return Outcome(fetched, seconds, calls, sum(waits), processor)


def ccxt_venue(url: str, limit: float | None) -> tuple[Any, list[float]]:
    """ccxt's Binance at our venue, and the list to which it adds every wait for the limit."""
    venue = ccxt.binance({"enableRateLimit": limit is not None})
    venue.session.trust_env = False
    venue.urls["api"]["public"] = f"{url}/api/v3"
    venue.set_markets(
        [
            venue.safe_market_structure(
                {
                    "id": name,
                    "symbol": f"{name.removesuffix('USDT')}/USDT",
                    "type": "spot",
                    "spot": True,
                    "active": True,
                }
            )
            for name in symbols()
        ]
    )
    if limit is not None:
        venue.rateLimit = 1000 / limit / venue.api["public"]["get"]["klines"]["cost"]
    waits: list[float] = []
    throttle = venue.throttle

    def timed(cost: float | None = None) -> None:
        began = time.perf_counter()
        throttle(cost)
        waits.append(time.perf_counter() - began)

    venue.throttle = timed
    return venue, waits


def row_of(way: str, limit: float | None, outcome: Outcome) -> Row:
    return {
        "way": way,
        "limit calls/s": limit,
        "rows": outcome.rows,
        "requests": outcome.requests,
        "seconds": outcome.seconds,
        "calls/s": outcome.requests / outcome.seconds,
        "rows/s": outcome.rows / outcome.seconds,
        "waiting s": outcome.waited,
        "processor s": outcome.processor,
        "refresh s": outcome.refresh,
    }


if __name__ == "__main__":
    main()
