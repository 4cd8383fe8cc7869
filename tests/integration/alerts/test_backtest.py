"""The backtest tells what the live matcher would have told, and leaves no trace."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.errors import InvalidRequest, QueryTimeout
from coinwatch.pipeline import store_alerts
from coinwatch.prices.candles.storage import refresh_candles
from tests.support.quotes import at, load, quote
from tests.support.rules import PRICES, RULES, add, fired


def counts(engine: sa.Engine) -> list[int]:
    with transaction(engine) as connection:
        return [
            connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("subscriptions", "alerts", "evaluation_watermarks", "users", "outbox", "prices")
        ]


@hypothesis_settings(max_examples=30)
@given(prices=PRICES, rule=RULES)
def test_it_tells_what_the_live_matcher_told(catalog: sa.Engine, prices: list[float], rule: Rule) -> None:
    with transaction(catalog) as connection:
        for table in ("alerts", "outbox", "subscriptions", "users", "evaluation_watermarks", "prices", "latest_quotes"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    subscription = add(catalog, rule)
    for minute, price in enumerate(prices):
        load(catalog, quote(price, minute))
        store_alerts(catalog, at(minute))
    before = counts(catalog)
    past = backtest(catalog, rule, "BTC", "kraken", start=at(-1), end=at(60))
    assert [alert.observed_at for alert in past.alerts] == fired(catalog, subscription)
    assert past.quotes == len(prices)
    assert counts(catalog) == before


def test_beyond_the_prices_that_are_kept_it_judges_the_closes_of_the_minutes(
    catalog: sa.Engine,
) -> None:
    load(catalog, quote(100, -60 * 30), quote(110, -60 * 30 + 1), quote(110, 0), quote(121, 1), now=at(10))
    refresh_candles(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("SELECT drop_price_partition('2026-02-28')"))
    past = backtest(catalog, Rule("change_since_last", 5), "BTC", "kraken", start=at(-60 * 48), end=at(60))
    assert [(alert.observed_at, alert.price) for alert in past.alerts] == [(at(-60 * 30 + 2), 110), (at(1), 121)]
    assert past.minutes_before == at(-12 * 60)


def test_it_says_how_often_a_week(catalog: sa.Engine) -> None:
    load(catalog, quote(100, 0), quote(110, 1), quote(121, 2), now=at(10))
    past = backtest(catalog, Rule("change_since_last", 5), "BTC", "kraken", start=at(0), end=at(0) + timedelta(days=14))
    assert (past.quotes, len(past.alerts), round(past.per_week, 3)) == (2, 2, 1.0)


def test_a_week_counts_from_the_first_value_where_history_begins_later_than_asked(catalog: sa.Engine) -> None:
    load(catalog, quote(100, 0), quote(110, 1), quote(121, 2), now=at(10))
    past = backtest(
        catalog, Rule("change_since_last", 5), "BTC", "kraken", start=at(-60 * 24 * 90), end=at(60 * 24 * 7)
    )
    assert (past.first_at, len(past.alerts), past.per_week) == (at(0), 2, 2.0)


def test_without_history_it_judged_nothing(catalog: sa.Engine) -> None:
    past = backtest(catalog, Rule(), "BTC", "kraken", start=at(0), end=at(60))
    assert (past.quotes, past.alerts, past.per_week) == (0, [], 0.0)


def test_a_range_that_ends_before_it_starts_is_refused(catalog: sa.Engine) -> None:
    with pytest.raises(InvalidRequest, match="before the end"):
        backtest(catalog, Rule(), "BTC", "kraken", start=at(60), end=at(0))


def test_it_gives_up_at_its_time_limit_with_a_named_error(catalog: sa.Engine) -> None:
    load(catalog, *(quote(100 + minute % 7, minute) for minute in range(600)))
    limit = timedelta(milliseconds=1)
    rule = Rule("deviation_from_average", 2, window_seconds=86400)
    with pytest.raises(QueryTimeout, match="statement timeout"):
        backtest(catalog, rule, "BTC", "kraken", start=at(0), end=at(600), statement_limit=limit)


def test_windows_reach_back_from_prices_into_minutes(catalog: sa.Engine) -> None:
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
