"""Opening the overview with many coins: ``python -m benchmarks.overview``.

A market of 500 coins with an index and three exchanges each, opened in Chromium with an empty cache: what is
transferred, in how many requests, and when the first content is painted. The server is the one of ``coinwatch web``,
with its middleware and compression. ``cold`` is the first page in a minute: it reads the last week of each coin.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from playwright.sync_api import Browser
from sqlalchemy import Engine

from benchmarks.overview.filled import EXCHANGES, fill_market
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import identify_by_token
from coinwatch.web.overview.histories import RecentHistories
from tests.support.browser import chromium
from tests.support.ports import free_port
from tests.web.browsing import DESKTOP, serving
from tests.web.seed import web_settings

MAX_BYTES, MAX_SECONDS = 300_000, 1.0
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coins", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=10, help="page loads of each kind")
    parser.add_argument("--small", action="store_true", help="20 coins, 2 rounds")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    coins, rounds = (20, 2) if arguments.small else (arguments.coins, arguments.rounds)
    with benchmark_server() as server:
        show(run(make_database(server, "overview"), coins, rounds), as_json=arguments.json)


def run(database: Database, coins: int, rounds: int) -> Report:
    say(f"filling {coins} coins")
    engine = database.engine()
    with database.admin() as connection:
        connection.execute("TRUNCATE coins, exchanges, instruments CASCADE")
    fill_market(engine, coins, datetime.now(UTC))
    with serve(engine) as (site, histories), chromium() as browser:
        load(browser, site)  # fills Postgres' and Chromium's own caches
        say("opening pages")
        measured: dict[str, list[Row]] = {"cold": [], "warm": []}
        for _ in range(rounds):
            for kind, loads in measured.items():
                if kind == "cold":
                    histories.clear()
                loads.append(load(browser, site))
    rows = [{"page": kind, "coins": coins} | _median(loads) for kind, loads in measured.items()]
    _, warm = rows
    bytes_sent, painted = float(str(warm["bytes"])), float(str(warm["first paint (s)"]))
    return Report(
        "overview",
        f"Overview with {coins} coins on {EXCHANGES} exchanges in Chromium, median of {rounds} loads",
        rows,
        goals=[
            Goal(f"under {MAX_BYTES // 1000} kB transferred", bytes_sent, bytes_sent < MAX_BYTES),
            Goal("first contentful paint in under 1 s", painted, painted < MAX_SECONDS),
        ],
        notes=[f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; empty browser cache"],
    )


@contextmanager
def serve(engine: Engine) -> Iterator[tuple[str, RecentHistories]]:
    settings = web_settings()
    app = create_app(
        lambda: engine, lambda: settings, identify=identify_by_token(lambda: settings), inside_airflow=False
    )
    with serving(app, free_port()) as site:
        yield site, app.state.site.histories


def load(browser: Browser, site: str) -> Row:
    """Open the page in a new browser profile."""
    context = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(round(event["encodedDataLength"])))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    started = time.perf_counter()
    page.goto(site)
    page.locator("#live[data-state=live]").wait_for()
    seconds = time.perf_counter() - started
    painted = page.evaluate(PAINT) / 1000
    context.close()
    return {"bytes": sum(sizes), "requests": len(requests), "first paint (s)": painted, "live (s)": seconds}


def _median(loads: list[Row]) -> Row:
    return {name: round(statistics.median(float(str(each[name])) for each in loads), 3) for name in loads[0]}


if __name__ == "__main__":
    sys.exit(main())
