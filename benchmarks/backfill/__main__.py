"""A month of 1-minute candles of 20 instruments from a rate-limited exchange: ``python -m benchmarks.backfill``.

coinwatch: ``backfill_range``, from the first call to the last committed candle. Compared with ccxt's fetch_ohlcv in the
loop of its manual (the next page starts after the last candle), without storing anything and with executemany into a
table, as downloaders do. All use the same number of calls per second, by their own means, and run once more without a
limit to show their maximum. The exchange is a separate process that returns 429 above its limit.
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

from benchmarks.backfill.fake_exchange import CANDLES_PER_CALL, DAYS, PAIRS, running_exchange, symbols
from benchmarks.shared.market import START
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.exchanges.binance import Binance
from coinwatch.prices.backfill.runner import backfill_range
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.catalog import sync_catalog
from tests.support.postgres import PostgresServer
from tests.support.settings import exchange, make_settings

GOAL = 0.95
NO_LIMIT = 1000.0  # calls per second, the maximum of the setting
CREATE = (
    "CREATE TABLE downloaded (symbol text, opened_at timestamptz, o float8, h float8, l float8, c float8, v float8)"
)
INSERT = "INSERT INTO downloaded VALUES (%s, to_timestamp(%s / 1000.0), %s, %s, %s, %s, %s)"


@dataclass(frozen=True)
class Outcome:
    """``waited``: seconds spent waiting for the rate limit, averaged over the fetching threads."""

    rows: int
    seconds: float
    requests: int
    waited: float
    processor: float
    refresh: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=25, help="the exchange's limit in calls per second")
    parser.add_argument("--days", type=int, default=DAYS, choices=range(1, DAYS + 1), metavar=f"1-{DAYS}")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with benchmark_server() as server:
        show(run(server, arguments.limit, arguments.days), as_json=arguments.json)


def run(server: PostgresServer, limit: float, days: int) -> Report:
    methods: dict[str, Callable[[Database, str, float | None, int], Outcome]] = {
        "coinwatch backfill_range, stored": ours,
        "ccxt loop, nothing stored": lambda *given: through_ccxt(*given, keep=False),
        "ccxt loop, executemany": lambda *given: through_ccxt(*given, keep=True),
    }
    rows: list[Row] = []
    for allowed in (limit, None):
        for method, fetch in methods.items():
            with running_exchange(allowed) as url:
                outcome = fetch(make_database(server, "backfill"), url, allowed, days)
            if outcome.rows != PAIRS * days * 1440:
                raise RuntimeError(f"{method} fetched {outcome.rows} candles, not {PAIRS * days * 1440}")
            rows.append(row_of(method, allowed, outcome))
            say(f"{method}, limit {allowed}: {outcome.seconds:.1f} s")
    reached = float(str(rows[0]["calls/s"])) / limit
    return Report(
        "backfill",
        f"{days} days of 1-minute candles of {PAIRS} instruments, up to {CANDLES_PER_CALL} per call",
        rows,
        [Goal(f"at least {GOAL:.0%} of the exchange's rate limit is used", reached, reached >= GOAL)],
        [
            "waiting: seconds for the rate limit, averaged over the threads; processor: CPU seconds of this process",
            "refresh: seconds to roll up hours and days afterward",
        ],
    )


def ours(database: Database, url: str, limit: float | None, days: int) -> Outcome:
    pairs = [f"{name.removesuffix('USDT')}/USDT" for name in symbols()]
    settings = make_settings(
        coins={pair.split("/")[0]: {"name": pair} for pair in pairs},
        exchanges={"binance": exchange("Binance", *pairs, base_url=url, history_calls_per_second=limit or NO_LIMIT)},
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
        raise RuntimeError(f"some candles could not be fetched: {result.failed}")
    began = time.perf_counter()
    refresh_candles(engine)
    refresh = time.perf_counter() - began
    engine.dispose()
    return Outcome(
        result.stored.inserted, seconds, result.requests, sum(slept) / Binance.max_concurrent_calls, processor, refresh
    )


def through_ccxt(database: Database, url: str, limit: float | None, days: int, *, keep: bool) -> Outcome:
    """The loop of ccxt's manual for paginated OHLCV."""
    client, waits = ccxt_client(url, limit)
    first, last = (round((START + timedelta(days=offset)).timestamp() * 1000) for offset in (0, days))
    fetched = calls = 0
    with psycopg.connect(database.admin_url) as connection:
        connection.execute(CREATE)
        connection.commit()
        began, busy = time.perf_counter(), time.process_time()
        for symbol in client.symbols:
            since = first
            while since < last:
                page = [row for row in client.fetch_ohlcv(symbol, "1m", since, CANDLES_PER_CALL) if row[0] < last]
                calls += 1
                fetched += len(page)
                since = page[-1][0] + 60_000
                if keep:
                    with connection.cursor() as cursor:
                        cursor.executemany(INSERT, [(symbol, *row) for row in page])
                    connection.commit()
        seconds, processor = time.perf_counter() - began, time.process_time() - busy
    return Outcome(fetched, seconds, calls, sum(waits), processor)


def ccxt_client(url: str, limit: float | None) -> tuple[Any, list[float]]:
    """ccxt's Binance client for the fake exchange, and the list of its waits for the rate limit in seconds."""
    client = ccxt.binance({"enableRateLimit": limit is not None})
    client.session.trust_env = False
    client.urls["api"]["public"] = f"{url}/api/v3"
    client.set_markets(
        [
            client.safe_market_structure(
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
        client.rateLimit = 1000 / limit / client.api["public"]["get"]["klines"]["cost"]
    waits: list[float] = []
    throttle = client.throttle

    def timed(cost: float | None = None) -> None:
        began = time.perf_counter()
        throttle(cost)
        waits.append(time.perf_counter() - began)

    client.throttle = timed
    return client, waits


def row_of(method: str, limit: float | None, outcome: Outcome) -> Row:
    return {
        "method": method,
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
