"""The backtest fires the same alerts as the live evaluation, and changes nothing."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from coinwatch.database import create_engine, transaction
from coinwatch.errors import InvalidRequest, QueryTimeout
from coinwatch.exchanges.models import Candle
from coinwatch.pipeline import store_alerts
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from tests.conftest import Database
from tests.support.backfill import instrument_id
from tests.support.quotes import at, load, quote
from tests.support.rules import PRICES, RULES, add, clear, fired


def counts(engine: sa.Engine) -> list[int]:
    with transaction(engine) as connection:
        return [
            connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("subscriptions", "alerts", "evaluation_watermarks", "users", "outbox", "prices")
        ]


@hypothesis_settings(max_examples=30)
@given(prices=PRICES, rule=RULES)
def test_backtest_matches_live_evaluation(catalog: sa.Engine, prices: list[float], rule: Rule) -> None:
    clear(catalog)
    subscription = add(catalog, rule)
    for minute, price in enumerate(prices):
        load(catalog, quote(price, minute))
        store_alerts(catalog, at(minute))
    before = counts(catalog)
    past = backtest(catalog, rule, "BTC", "kraken", start=at(-1), end=at(60))
    assert [alert.observed_at for alert in past.alerts] == fired(catalog, subscription)
    assert past.quotes == len(prices)
    assert counts(catalog) == before


def test_backtest_leaves_nothing_on_its_connection(database: Database, catalog: sa.Engine) -> None:
    """The connection is used for other transactions, whose statements must see the real tables."""
    engine = create_engine(database.url())
    load(engine, *(quote(price, minute) for minute, price in enumerate((100, 110, 121))))
    subscription = add(engine, Rule(threshold=5), minutes=-1)
    for _ in range(7):  # then the driver has prepared the evaluation's statements
        store_alerts(engine, at(3))
    left = sa.text("SELECT to_regclass('pg_temp.subscriptions'), current_setting('statement_timeout')")
    for _ in range(2):
        past = backtest(
            engine, Rule(threshold=5), "BTC", "kraken", start=at(-1), end=at(60), statement_limit=timedelta(seconds=50)
        )
        assert len(past.alerts) == 2
        with transaction(engine) as connection:
            assert tuple(connection.execute(left).one()) == (None, "0")
    assert fired(engine, subscription) == [alert.observed_at for alert in past.alerts]
    engine.dispose()


def test_minute_candles_are_used_before_the_first_stored_price(catalog: sa.Engine) -> None:
    load(catalog, quote(100, -60 * 30), quote(110, -60 * 30 + 1), quote(110, 0), quote(121, 1), now=at(10))
    refresh_candles(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("SELECT drop_price_partition('2026-02-28')"))
    past = backtest(catalog, Rule("change_since_last", 5), "BTC", "kraken", start=at(-60 * 48), end=at(60))
    assert [(alert.observed_at, alert.price) for alert in past.alerts] == [(at(-60 * 30 + 2), 110), (at(1), 121)]
    assert past.minutes_before == at(0)


def test_backfilled_minutes_of_the_first_day_are_used_until_the_first_price(catalog: sa.Engine) -> None:
    minutes = [
        StoredCandle(instrument_id(catalog, "kraken"), Candle(at(minute), *[price] * 4))
        for minute, price in ((-90, 100.0), (-60, 110.0), (-1, 110.0), (0, 500.0))
    ]
    store_candles(catalog, "1m", minutes)
    load(catalog, quote(110.0, 0.5), quote(121.0, 3), now=at(10))
    past = backtest(catalog, Rule("change_since_last", 5), "BTC", "kraken", start=at(-120), end=at(60))
    assert [alert.observed_at for alert in past.alerts] == [at(-59), at(3)]
    assert past.minutes_before == at(0.5)


def test_alerts_per_week(catalog: sa.Engine) -> None:
    load(catalog, quote(100, 0), quote(110, 1), quote(121, 2), now=at(10))
    past = backtest(catalog, Rule("change_since_last", 5), "BTC", "kraken", start=at(0), end=at(0) + timedelta(days=14))
    assert (past.quotes, len(past.alerts), past.per_week) == (2, 2, pytest.approx(1.0, rel=1e-3))


def test_weekly_rate_counts_from_the_first_value(catalog: sa.Engine) -> None:
    load(catalog, quote(100, 0), quote(110, 1), quote(121, 2), now=at(10))
    past = backtest(
        catalog, Rule("change_since_last", 5), "BTC", "kraken", start=at(-60 * 24 * 90), end=at(60 * 24 * 7)
    )
    assert (past.first_at, len(past.alerts), past.per_week) == (at(0), 2, 2.0)


def test_backtest_without_history_evaluates_nothing(catalog: sa.Engine) -> None:
    past = backtest(catalog, Rule(), "BTC", "kraken", start=at(0), end=at(60))
    assert (past.quotes, past.alerts, past.per_week) == (0, [], None)


def test_end_must_be_after_start(catalog: sa.Engine) -> None:
    with pytest.raises(InvalidRequest, match="must be before end") as caught:
        backtest(catalog, Rule(), "BTC", "kraken", start=at(60), end=at(0))
    assert caught.value.field == "start"


def test_statement_timeout_raises_query_timeout(catalog: sa.Engine) -> None:
    load(catalog, *(quote(100 + minute % 7, minute) for minute in range(600)))
    limit = timedelta(milliseconds=1)
    rule = Rule("deviation_from_average", 2, window_seconds=86400)
    with pytest.raises(QueryTimeout, match="statement timeout"):
        backtest(catalog, rule, "BTC", "kraken", start=at(0), end=at(600), statement_limit=limit)


def test_window_spans_prices_and_older_minute_candles(catalog: sa.Engine) -> None:
    load(catalog, quote(100, -60 * 23), quote(110, -60 * 23 + 1), quote(110, 0), quote(121, 1), now=at(10))
    refresh_candles(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("SELECT drop_price_partition('2026-02-28')"))
    change = Rule("change_over_window", 10, window_seconds=22 * 3600)
    mean = Rule("deviation_from_average", 12, window_seconds=86400)
    found = [backtest(catalog, rule, "BTC", "kraken", start=at(-5), end=at(60)).alerts for rule in (change, mean)]
    assert [[(alert.observed_at, alert.reference_at) for alert in alerts] for alerts in found] == [
        [(at(1), at(-60 * 23 + 2))],
        [(at(1), at(-60 * 23 + 1))],
    ]
    assert found[1][0].reference == pytest.approx((100 + 110 + 110) / 3)
