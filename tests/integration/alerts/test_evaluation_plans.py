"""An evaluation reads pending quotes and the subscriptions they concern, however many subscriptions and prices there
are.

The data: 40 days of prices of 100 instruments, every ten minutes, and 100,000 subscriptions, 100 of which fire.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa

from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from coinwatch.pipeline import store_alerts
from tests.conftest import Database
from tests.support.plans import Plans, explain_engine
from tests.support.quotes import at

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
INSTRUMENTS, SUBSCRIPTIONS = 100, 100_000
FILL = f"""
INSERT INTO exchanges (code, name, enabled) VALUES ('kraken', 'Kraken', true);
INSERT INTO coins (code, name, position) SELECT 'C' || n, 'Coin ' || n, n FROM generate_series(1, {INSTRUMENTS}) n;
INSERT INTO instruments (exchange_id, base, quote, symbol)
  SELECT e.id, c.code, 'USD', c.code FROM exchanges e, coins c ORDER BY c.id;
SELECT create_price_partitions('2026-02-01', '2026-03-12');
INSERT INTO prices (instrument_id, observed_at, price, received_at)
  SELECT i.id, t, 100, t
  FROM generate_series('2026-02-01 00:00+00'::timestamptz, '2026-03-10 11:50+00', '10 minutes') t, instruments i;
INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to, last_value, last_at)
  SELECT id, 'price', '2026-03-10 11:50+00', 100, '2026-03-10 11:50+00' FROM instruments;
INSERT INTO users (email, verified_at, created_at)
  SELECT 'p' || n || '@example.org', '2026-03-01', '2026-03-01' FROM generate_series(1, {SUBSCRIPTIONS}) n;
INSERT INTO subscriptions
    (user_id, instrument_id, kind, direction, threshold, window_seconds, status, active_from, created_at)
  SELECT u.id, 1 + mod(u.id, {INSTRUMENTS}), %(kind)s, 'up', CASE WHEN u.id <= {INSTRUMENTS} THEN 5 ELSE 50 END,
         %(window)s, 'active', '2026-03-01', '2026-03-01' FROM users u;
INSERT INTO prices (instrument_id, observed_at, price, received_at)
  SELECT id, '2026-03-10 12:00+00', 110, '2026-03-10 12:00+00' FROM instruments;
INSERT INTO latest_quotes (instrument_id, observed_at, price, received_at)
  SELECT id, '2026-03-10 12:00+00', 110, '2026-03-10 12:00+00' FROM instruments;
VACUUM ANALYZE;
"""

Run = Callable[[str, timedelta], Plans]


@pytest.fixture
def run(database: Database) -> Run:
    """Fill the database with subscriptions of one kind and window; return the plans of an evaluation in which 100
    fire."""

    def fill_and_evaluate(kind: str, window: timedelta) -> Plans:
        parameters = {"kind": kind, "window": round(window.total_seconds())}
        with psycopg.connect(database.url("admin"), autocommit=True) as filling:
            for command in FILL.split(";\n"):
                if command.strip():
                    psycopg.ClientCursor(filling).execute(command, parameters if "%(" in command else None)
        with explain_engine(database.url("admin"), database.url("app")) as (engine, plans_of):
            return plans_of(lambda: evaluate(engine))

    return fill_and_evaluate


def evaluate(engine: sa.Engine) -> None:
    result = store_alerts(engine, NOW)
    assert (result.quotes, result.alerts) == (INSTRUMENTS, INSTRUMENTS)


@pytest.mark.parametrize(
    ("kind", "window", "days", "reference_values"),
    [
        ("change_since_last", timedelta(), {"20260310"}, 0),
        ("change_over_window", timedelta(hours=6), {"20260309", "20260310"}, 1),
        ("deviation_from_average", timedelta(hours=1), {"20260310"}, 6),
    ],
)
def test_evaluation_reads_only_relevant_rows(
    run: Run, kind: str, window: timedelta, days: set[str], reference_values: int
) -> None:
    plans = run(kind, window)
    partitions = {name for name in plans.planned if name.startswith("prices_2")}
    assert partitions <= {f"prices_{day}" for day in days}
    assert sum(plans.rows[name] for name in partitions) == INSTRUMENTS * (1 + reference_values)
    assert plans.rows["subscriptions"] < SUBSCRIPTIONS / 20


@pytest.mark.parametrize("ladder", [None, 5.0], ids=["without a ladder", "with a ladder"])
def test_many_alerts_in_one_evaluation_read_each_candidate_a_few_times(
    catalog: sa.Engine, database: Database, ladder: float | None
) -> None:
    """With a ladder, all alerts but the first continue the same streak; without one, each starts another."""
    number = 6000
    rule = Rule("change_over_window", 5, "up", window_seconds=60, ladder_percent=ladder)
    prices = "CASE WHEN mod(n, 2) = 0 THEN 100 ELSE 110 END" if ladder is None else "power(1.06, n)"
    with psycopg.connect(database.url("admin"), autocommit=True) as filling:
        filling.execute("SELECT create_price_partitions(%(day)s, %(day)s + 10)", {"day": at(0).date()})
        filling.execute(
            f"""INSERT INTO prices (instrument_id, observed_at, price, received_at)
                SELECT i.id, at, {prices}, at
                FROM instruments i JOIN exchanges e ON e.id = i.exchange_id AND e.code = 'kraken',
                  generate_series(0, {number}) n, LATERAL (SELECT %s + n * interval '1 minute' AS at) moment
                WHERE i.base = 'BTC'""",
            [at(0)],
        )
    with explain_engine(database.url("admin"), database.url("app")) as (engine, plans_of):
        tested = []
        plans = plans_of(
            lambda: tested.append(backtest(engine, rule, "BTC", "kraken", start=at(-1), end=at(number + 1)))
        )
    alerts = len(tested[0].alerts)
    assert alerts == (number if ladder else number / 2)
    assert plans.rows["candidates"] + plans.filtered["candidates"] < 10 * alerts
