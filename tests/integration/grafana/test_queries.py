"""Every query of the dashboard runs on the real schema, with the role that Grafana uses."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import load_settings
from tests.conftest import Database
from tests.integration.grafana.dashboard import VARIABLES, SqlQuery, column_units, sql_queries
from tests.support.grafana_macros import expand

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RANGE = (NOW - timedelta(hours=6), NOW)
QUERIES = sql_queries()
Rows = list[dict[str, object]]


@pytest.fixture
def reader(database: Database) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(database.url("reader"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def seeded(engine: sa.Engine) -> None:
    """26 hours of a price every 10 minutes for each configured pair; two alerts; one failing exchange."""
    sync_catalog(engine, load_settings())
    with engine.begin() as connection:
        for statement in SEED.split(";\n"):
            connection.execute(sa.text(statement), {"now": NOW})
    refresh_candles(engine)


SEED = """
UPDATE exchanges SET enabled = true WHERE code <> 'bitstamp';
SELECT create_price_partitions(CAST(:now AS date) - 2, CAST(:now AS date));
INSERT INTO prices (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
SELECT i.id, t, 100 + extract(epoch FROM t - :now) / 3600, 5, 99, 101, t
FROM instruments i CROSS JOIN generate_series(:now - interval '26 hours', :now, interval '10 minutes') t;
INSERT INTO stale_candles (instrument_id, first_at, last_at)
SELECT instrument_id, min(observed_at), max(observed_at) FROM prices GROUP BY instrument_id;
INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at)
SELECT id, CAST(:now AS date), :now - interval '3 hours', :now - interval '2 hours', 'unavailable', 'too old', :now
FROM instruments;
INSERT INTO exchange_status (exchange_id, last_attempt_at, last_success_at, failures, blocked_until, last_error)
SELECT id, :now, :now - interval '1 hour', 3, :now + interval '5 minutes', 'HTTP 429'
FROM exchanges WHERE code = 'kraken';
INSERT INTO users (email, created_at) VALUES ('someone@example.org', :now);
INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, status, active_from, created_at)
SELECT u.id, i.id, 'change_since_last', 'either', 2, 'active', :now, :now
FROM users u, instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = 'index' AND i.base = 'BTC'
  AND i.quote = 'USD';
INSERT INTO alerts (subscription_id, observed_at, price, reference, change_percent, created_at)
SELECT s.id, t, 100, 97, 3.1, t
FROM subscriptions s CROSS JOIN (VALUES (:now - interval '1 hour'), (:now - interval '1 day')) v (t)"""


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_query_returns_rows(query: SqlQuery, reader: psycopg.Connection) -> None:
    rows = run_query(reader, query.sql, default_variables(reader))
    assert rows
    if query.is_series:
        assert rows[0].keys() == {"time", "metric", "value"}
        assert rows == sorted(rows, key=lambda row: (row["time"], row["metric"]))
        assert RANGE[0].timestamp() - 60 <= float(str(rows[0]["time"])) <= RANGE[1].timestamp()
        assert all(isinstance(row["value"], float) for row in rows)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_query_runs_on_an_empty_database(query: SqlQuery, reader: psycopg.Connection) -> None:
    options = default_variables(reader)
    assert options == {"coin": "", "exchange": [], "quote": []}
    assert run_query(reader, query.sql, options) == []


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_variable_values_with_quotes_are_escaped(query: SqlQuery, reader: psycopg.Connection) -> None:
    injection = "x'); DROP TABLE prices; --"
    run_query(reader, query.sql, {"coin": injection, "exchange": [injection, "index"], "quote": [injection]})
    assert run_query(reader, "SELECT 1 AS one FROM price_history LIMIT 1", {})


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("query", [query for query in QUERIES if query.panel["type"] == "table"], ids=str)
def test_number_and_timestamp_columns_have_a_unit(query: SqlQuery, reader: psycopg.Connection) -> None:
    rows = run_query(reader, query.sql, default_variables(reader))
    measured = {name for row in rows for name, value in row.items() if isinstance(value, float | int | datetime)}
    units = column_units(query.panel)
    assert measured <= units.keys()
    assert units.keys() <= rows[0].keys()


@pytest.mark.usefixtures("seeded")
def test_variables_offer_enabled_exchanges(reader: psycopg.Connection) -> None:
    options = default_variables(reader)
    assert {"coinnews", "kraken", "index"} <= set(options["exchange"])
    assert "bitstamp" not in options["exchange"]
    assert set(options["quote"]) == {"USD", "USDT"}
    coins = run_query(reader, VARIABLES["coin"]["query"], {})
    assert {"__text": "Bitcoin (BTC)", "__value": "BTC"} in coins
    assert VARIABLES["coin"]["current"]["value"] == "BTC"


@pytest.mark.usefixtures("seeded")
def test_quote_currencies_depend_on_the_exchange(reader: psycopg.Connection) -> None:
    rows = run_query(reader, VARIABLES["quote"]["query"], {"coin": "BTC", "exchange": ["binance"]})
    assert rows == [{"quote": "USDT"}]


@pytest.mark.usefixtures("seeded")
def test_latest_prices_are_correct(reader: psycopg.Connection) -> None:
    rows = run_query(reader, by_title("Latest prices").sql, default_variables(reader))
    kraken = next(row for row in rows if row["Exchange"] == "Kraken" and row["Pair"] == "BTC/USD")
    assert kraken["Price"] == pytest.approx(100)
    assert kraken["24h change"] == pytest.approx(100 * (100 - 76) / 76)
    assert kraken["Spread"] == pytest.approx(2.0)
    assert kraken["Age"] == 0.0


@pytest.mark.usefixtures("seeded")
def test_past_time_range_shows_prices_from_that_time(reader: psycopg.Connection) -> None:
    end = NOW - timedelta(hours=5, minutes=5)
    rows = run_query(reader, by_title("Latest prices").sql, default_variables(reader), end=end)
    assert {row["Age"] for row in rows} == {300.0}
    assert {row["24h change"] for row in rows} == {None}


@pytest.mark.usefixtures("seeded")
def test_failing_exchange_is_listed_first_with_its_error(reader: psycopg.Connection) -> None:
    first = run_query(reader, by_title("Exchange status").sql, {})[0]
    assert first["Exchange"] == "Kraken"
    assert first["State"] == "rate limited"
    assert first["Last error"] == "HTTP 429"


@pytest.mark.usefixtures("seeded")
def test_alert_queries_contain_no_email_address(reader: psycopg.Connection) -> None:
    rows = run_query(reader, by_title("Alerts in the time range").sql, {})
    assert len(rows) == 1
    assert "@" not in str(rows)


def by_title(title: str) -> SqlQuery:
    return next(query for query in QUERIES if query.panel["title"] == title)


def default_variables(reader: psycopg.Connection) -> dict[str, str | list[str]]:
    """The initial variables in Grafana: BTC if present, all exchanges and quote currencies."""
    values: dict[str, str | list[str]] = {}
    for name, variable in VARIABLES.items():
        if variable["type"] != "query":
            continue
        options = [str(list(row.values())[-1]) for row in run_query(reader, variable["query"], values)]
        first = variable["current"]["value"]
        values[name] = options if variable["includeAll"] else first if first in options else "".join(options[:1])
    return values


def run_query(reader: psycopg.Connection, sql: str, variables: dict[str, str | list[str]], end: datetime = NOW) -> Rows:
    cursor = reader.execute(expand(sql, start=RANGE[0], end=end, variables=variables).encode())
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
