"""Reads touch only the partitions they need, through their indexes, and the planner prunes all others.

40 days of prices of a hundred instruments, 60 days of hours, 400 of days, two of minutes.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa

from coinwatch.prices.candles.fitting import read_fitting_candles
from coinwatch.prices.candles.series import read_candle_coverage, read_candles
from coinwatch.prices.history.as_of import compare_exchange_prices, read_price_at
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.history.markets import main_markets, read_market_prices, read_recent_histories
from coinwatch.prices.history.movers import read_changes, read_movers
from coinwatch.prices.history.series import read_newest_prices, read_series
from tests.conftest import Database
from tests.support.plans import Plans, explain_engine
from tests.support.postgres import PostgresServer

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FILL = """
INSERT INTO exchanges (code, name, enabled) VALUES ('index', 'Index', true), ('kraken', 'Kraken', true);
INSERT INTO coins (code, name, position) SELECT 'C' || n, 'Coin ' || n, n FROM generate_series(1, 50) n;
INSERT INTO instruments (exchange_id, base, quote, symbol)
  SELECT e.id, c.code, 'USD', c.code FROM exchanges e, coins c ORDER BY e.id, c.id;
SELECT create_price_partitions('2026-02-01', '2026-03-12');
INSERT INTO prices (instrument_id, observed_at, price, received_at)
  SELECT i.id, t, 100 + random(), t
  FROM generate_series('2026-02-01 00:00+00'::timestamptz, '2026-03-10 11:59+00', '10 minutes') t, instruments i;
INSERT INTO latest_quotes (instrument_id, observed_at, price, received_at)
  SELECT DISTINCT ON (instrument_id) instrument_id, observed_at, price, received_at
  FROM prices ORDER BY instrument_id, observed_at DESC;
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, source)
  SELECT i.id, r.name::candle_resolution, t, 100, 102, 98, 99 + random(), 1, 'exchange'
  FROM (VALUES ('1m', interval '1 minute', interval '2 days'), ('1h', '1 hour', '60 days'), ('1d', '1 day', '400 days'))
    AS r (name, width, span),
    generate_series(date_bin(r.width, '2026-03-10 12:00+00'::timestamptz - r.span, '2000-01-01 00:00+00'),
                    '2026-03-10 11:59+00', r.width) t, instruments i;
VACUUM ANALYZE;
"""

Explain = Callable[[Callable[[], object]], Plans]


@pytest.fixture(scope="module")
def explained(postgres: PostgresServer, template: str) -> Iterator[tuple[sa.Engine, Explain]]:
    database = Database("test_reading_plans", postgres)
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database.name} TEMPLATE {template} STRATEGY FILE_COPY")
        with psycopg.connect(database.url("admin"), autocommit=True) as filling:
            for command in FILL.split(";\n"):
                if command.strip():
                    filling.execute(command)
        with explain_engine(database.url("admin"), database.url("app")) as (engine, plans_of):
            yield engine, plans_of
        connection.execute(f"DROP DATABASE {database.name} WITH (FORCE)")


def growing(names: set[str]) -> set[str]:
    """The tables that grow with time."""
    return {name for name in names if name.startswith(("prices_", "candles_"))}


def days(first: str, last: str) -> set[str]:
    """Partitions of prices, by month and day."""
    begin, end = (datetime.strptime(f"2026{day}", "%Y%m%d").replace(tzinfo=UTC) for day in (first, last))
    return {f"prices_{begin + number * DAY:%Y%m%d}" for number in range((end - begin).days + 1)}


CANDLES = {"candles_1m", "candles_1h", "candles_1d"}
# The read, the partitions that remain in its plan, and those that are actually read.
READS: dict[str, tuple[Callable[[sa.Engine], object], set[str], set[str]]] = {
    "the latest of everything": (
        lambda engine: read_latest_prices(engine, NOW),
        days("0308", "0309") | {"candles_1m"},
        days("0309", "0309"),
    ),
    "the latest without change": (lambda engine: read_latest_prices(engine, NOW, with_change=False), set(), set()),
    "a day of prices": (
        lambda engine: read_series(engine, "C7", "kraken", start=NOW - DAY, end=NOW),
        days("0309", "0310"),
        days("0309", "0310"),
    ),
    "a few days of prices, downsampled": (
        lambda engine: read_series(engine, "C7", "kraken", start=NOW - 4 * DAY, end=NOW, points=100),
        days("0306", "0310"),
        days("0306", "0310"),
    ),
    "more days than prices are retained": (
        lambda engine: read_series(engine, "C7", "kraken", start=NOW - 50 * DAY, end=NOW, points=100),
        days("0201", "0310") | CANDLES,
        days("0201", "0310") | CANDLES,
    ),
    "a year": (
        lambda engine: read_series(engine, "C7", "kraken", start=NOW - 365 * DAY, end=NOW, points=100),
        CANDLES,
        CANDLES,
    ),
    "hours": (
        lambda engine: read_candles(engine, "C7", "kraken", resolution="1h", start=NOW - 50 * DAY, end=NOW, now=NOW),
        {"candles_1h"},
        {"candles_1h"},
    ),
    "weeks": (
        lambda engine: read_candles(engine, "C7", "kraken", resolution="1w", start=NOW - 300 * DAY, end=NOW, now=NOW),
        {"candles_1d"},
        {"candles_1d"},
    ),
    "five minutes": (
        lambda engine: read_candles(engine, "C7", "kraken", resolution="5m", start=NOW - DAY, end=NOW, now=NOW),
        {"candles_1m"},
        {"candles_1m"},
    ),
    "local days with a clock change": (
        lambda engine: read_candles(
            engine,
            "C7",
            "kraken",
            resolution="1d",
            start=NOW - 50 * DAY,
            end=NOW,
            now=NOW,
            timezone="America/New_York",
        ),
        {"candles_1h"},
        {"candles_1h"},
    ),
    "a chart of five years": (
        lambda engine: read_fitting_candles(engine, "C7", "kraken", start=NOW - 1825 * DAY, end=NOW, now=NOW, lead=50),
        CANDLES,
        CANDLES,
    ),
    "the newest prices of a month": (
        lambda engine: read_newest_prices(engine, "C7", "kraken", start=NOW - 30 * DAY, end=NOW, limit=25),
        days("0208", "0310"),
        days("0310", "0310"),
    ),
    "a moment": (
        lambda engine: read_price_at(engine, "C7", "kraken", moment=NOW - 20 * DAY),
        days("0218", "0218") | CANDLES,
        days("0218", "0218") | CANDLES,
    ),
    "all exchanges at once": (
        lambda engine: compare_exchange_prices(engine, "C7", moment=NOW),
        days("0309", "0310") | CANDLES,
        days("0310", "0310") | CANDLES,
    ),
    "movers of a day": (lambda engine: read_movers(engine, DAY, now=NOW), CANDLES, CANDLES - {"candles_1d"}),
    "movers of a week": (lambda engine: read_movers(engine, 7 * DAY, now=NOW), CANDLES, CANDLES - {"candles_1d"}),
    "changes": (lambda engine: read_changes(engine, now=NOW), CANDLES, CANDLES),
    "the overview's prices": (read_market_prices, set(), set()),
    "the overview's last week": (
        lambda engine: read_recent_histories(engine, list(main_markets(read_market_prices(engine)).values()), NOW),
        {"candles_1m", "candles_1h"},
        {"candles_1m", "candles_1h"},
    ),
    "candle coverage": (lambda engine: read_candle_coverage(engine, "C7"), {"candles_1d"}, {"candles_1d"}),
}


@pytest.mark.parametrize("name", READS)
def test_only_needed_partitions_are_planned_and_read(explained: tuple[sa.Engine, Explain], name: str) -> None:
    engine, plans_of = explained
    read, planned, executed = READS[name]
    read(engine)  # once, so that a cached plan would show
    plans = plans_of(lambda: read(engine))
    assert plans.planned, "no plans were captured"
    assert growing(plans.planned) == planned
    assert growing(plans.executed) == executed
    assert not growing(plans.sequentially_scanned)


def test_candles_are_read_with_an_index_only_scan(explained: tuple[sa.Engine, Explain]) -> None:
    engine, plans_of = explained
    for name in (
        "hours",
        "weeks",
        "five minutes",
        "local days with a clock change",
        "a year",
        "movers of a day",
        "movers of a week",
        "the overview's last week",
    ):
        read, _, executed = READS[name]
        assert growing(plans_of(lambda read=read: read(engine)).index_only_scanned) >= growing(executed) & CANDLES


# psycopg prepares a statement after 5 runs, and after 5 more Postgres may switch to a generic plan.
RUNS = 12


def test_repeated_statements_of_a_transaction_never_switch_to_a_generic_plan(
    explained: tuple[sa.Engine, Explain],
) -> None:
    engine, plans_of = explained
    read, planned, _ = READS["movers of a day"]
    for _ in range(RUNS):
        plans = plans_of(lambda: read(engine))
        assert growing(plans.planned) == planned


@pytest.mark.parametrize("name", ["the latest of everything", "a day of prices"])
def test_repeated_reads_touch_only_needed_partitions_with_any_plan(
    explained: tuple[sa.Engine, Explain], name: str
) -> None:
    engine, plans_of = explained
    read, _, executed = READS[name]
    for _ in range(RUNS):
        plans = plans_of(lambda: read(engine))
        assert growing(plans.executed) == executed
        assert growing(plans.sequentially_scanned) == set()
