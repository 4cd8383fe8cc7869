"""Recorded values replayed: ``python -m benchmarks.backtest.month FILE`` (CSV with time, price and optionally volume).

Compares live evaluation (in runs of minutes to hours, with outages), backtest and pandas: how often each rule fires,
and whether all three fire at the same times. Uses a temporary Postgres; exit code 1 if they differ.
"""

import argparse
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
import structlog

from benchmarks.shared.report import Report, Row, say, show
from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule, describe
from coinwatch.database import create_engine
from coinwatch.migrations import migrate, setup_database
from coinwatch.prices.catalog import sync_catalog
from tests.support.month import expected, in_runs, replay, rules_for
from tests.support.postgres import postgres_server
from tests.support.rules import fired
from tests.support.settings import exchange, make_settings

TIMES, PRICES = ("time", "timestamp", "observed_at", "date"), ("price", "close")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=8, help="seed for splitting the values into runs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    report = run(read_values(arguments.file), arguments.seed)
    show(report, as_json=arguments.json)
    sys.exit(any(row["same times"] == "NO" for row in report.rows))


def read_values(file: Path) -> pd.DataFrame:
    """Read columns named time (timestamp, date), price (close) and optionally volume, taken as the 24 h volume."""
    read = pd.read_csv(file).rename(columns=str.lower)
    at = next(read[name] for name in TIMES if name in read)
    moments = pd.to_datetime(at, utc=True, unit="s" if pd.api.types.is_numeric_dtype(at) else None)
    price = next(read[name] for name in PRICES if name in read)
    volume = read.get("volume", price)
    frame = pd.DataFrame({"at": moments.astype("datetime64[us, UTC]"), "price": price, "volume": volume})
    return frame.astype({"price": float, "volume": float}).sort_values("at").drop_duplicates("at", ignore_index=True)


def run(values: pd.DataFrame, seed: int) -> Report:
    month = in_runs(values, seed, late=0)
    rules = rules_for(month)
    with postgres_server() as server:
        engine = _database(
            [server.url("month", role) for role in ("coinwatch_owner", "coinwatch_app", "coinwatch_reader")],
            server.url("postgres"),
        )
        say(f"{len(month):,} values through the live evaluation in {month['run'].nunique():,} runs")
        began = time.perf_counter()
        subscriptions = replay(engine, month, rules, "BTC", "kraken")
        live_seconds = time.perf_counter() - began
        rows = [
            _row(engine, month, rule, subscription) for rule, subscription in zip(rules, subscriptions, strict=True)
        ]
        engine.dispose()
    span = f"{month['at'].iloc[0]:%Y-%m-%d %H:%M} to {month['at'].iloc[-1]:%Y-%m-%d %H:%M} UTC"
    notes = [f"the live evaluation took {live_seconds:.0f} s for all rules, from loading to queued emails"]
    return Report("month", f"{len(month):,} recorded values, {span}: alerts of each rule", rows, notes=notes)


def _database(urls: list[str], admin_url: str) -> sa.Engine:
    setup_database(admin_url, *urls)
    owner = create_engine(urls[0])
    migrate(owner)
    owner.dispose()
    engine = create_engine(urls[1])
    kraken = exchange("Kraken", "BTC/USD", base_url="http://127.0.0.1:1")
    sync_catalog(engine, make_settings(exchanges={"kraken": kraken}))
    return engine


def _row(engine: sa.Engine, month: pd.DataFrame, rule: Rule, subscription: int) -> Row:
    start, end = month["at"].iloc[0] - timedelta(minutes=1), month["at"].iloc[-1]
    began = time.perf_counter()
    past = backtest(engine, rule, "BTC", "kraken", start=start.to_pydatetime(), end=end.to_pydatetime())
    seconds = time.perf_counter() - began
    live, tested = fired(engine, subscription), [alert.observed_at for alert in past.alerts]
    by_pandas = expected(month, rule)
    cooldown = f", cooldown {rule.cooldown_seconds // 60} min" if rule.cooldown_seconds else ""
    return {
        "kind": rule.kind,
        "rule": describe(rule, "USD", "BTC") + cooldown + ("" if rule.repeat else ", once"),
        "live": len(live),
        "backtest": len(tested),
        "pandas": len(by_pandas),
        "same times": "yes" if live == tested == by_pandas else "NO",
        "backtest s": seconds,
    }


if __name__ == "__main__":
    main()
