"""A window that begins where no value was recorded is compared with a one-minute candle, live and in a backtest."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.distance import measure_distance
from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.exchanges.models import Candle
from coinwatch.pipeline import store_alerts
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.ingest.index import compute_index
from coinwatch.settings import Settings
from tests.support.backfill import instrument_id
from tests.support.definition import Definition
from tests.support.quotes import at, load, quote
from tests.support.rules import (
    COOLDOWNS,
    DIRECTIONS,
    LADDERS,
    PRICES,
    THRESHOLDS,
    WINDOWS,
    add,
    clear,
    feed,
    fired,
    minutes,
)
from tests.support.subscriptions import subscribe

RULES = st.builds(
    Rule,
    st.just("change_over_window"),
    THRESHOLDS,
    DIRECTIONS,
    window_seconds=WINDOWS,
    cooldown_seconds=COOLDOWNS,
    ladder_percent=st.none() | LADDERS,
)
HOUR = Rule("change_over_window", 5, window_seconds=3600)


def store_minutes(engine: sa.Engine, closes: dict[float, float], exchange: str = "kraken") -> None:
    """Store one-minute candles by the minute in which they open."""
    with transaction(engine) as connection:
        number = find_instrument(connection, "BTC", exchange).instrument_id
    candles = [StoredCandle(number, Candle(at(minute), *[close] * 4)) for minute, close in closes.items()]
    store_candles(engine, "1m", candles)


@hypothesis_settings(max_examples=40)
@given(history=PRICES, prices=PRICES, rule=RULES, together=st.booleans())
def test_rule_fires_as_if_the_candles_had_been_recorded(
    catalog: sa.Engine, history: list[float], prices: list[float], rule: Rule, together: bool
) -> None:
    clear(catalog)
    store_minutes(catalog, {number - len(history): close for number, close in enumerate(history)})
    subscription = add(catalog, rule)
    definition = Definition(rule, since=at(-1))
    definition.seen = [(at(number - len(history) + 1), close) for number, close in enumerate(history)]
    values = {number + 0.5: price for number, price in enumerate(prices)}
    if together:
        load(catalog, *(quote(price, minute) for minute, price in values.items()))
        store_alerts(catalog, at(len(values)))
    else:
        feed(catalog, values)
    for minute, price in values.items():
        definition.evaluate(at(minute), price)
    past = backtest(catalog, rule, "BTC", "kraken", start=at(0), end=at(60))
    assert fired(catalog, subscription) == definition.fired
    assert [alert.observed_at for alert in past.alerts] == definition.fired


def test_alert_over_an_hour_fires_at_once_after_a_backfill(catalog: sa.Engine) -> None:
    store_minutes(catalog, {-61.0: 100.0, -1.0: 104.0})
    subscription = add(catalog, HOUR)
    feed(catalog, {0.5: 104.9})
    distance = measure_distance(catalog, instrument_id(catalog, "kraken"), HOUR, at(0.5))
    assert (distance.reference, distance.reference_at, distance.fires_at) == (100, at(-60), 105)
    feed(catalog, {1: 105})
    assert minutes(fired(catalog, subscription)) == [1]


@pytest.mark.parametrize("repaired", [True, False], ids=["repaired", "not repaired"])
def test_outage_of_more_than_a_day_needs_a_repaired_gap(catalog: sa.Engine, repaired: bool) -> None:
    end = 26 * 60
    subscription = add(catalog, HOUR)
    feed(catalog, {0: 100})
    if repaired:
        store_minutes(catalog, {end - 62.0: 102.0})
    feed(catalog, {end: 105, end + 1: 108})
    past = backtest(catalog, HOUR, "BTC", "kraken", start=at(1), end=at(end + 60))
    expected = [end + 1] if repaired else []
    assert minutes(fired(catalog, subscription)) == expected
    assert minutes([alert.observed_at for alert in past.alerts]) == expected


def test_recorded_value_counts_before_a_candle(catalog: sa.Engine) -> None:
    subscription = add(catalog, HOUR)
    feed(catalog, {0: 100})
    store_minutes(catalog, {30.0: 200.0})
    feed(catalog, {100: 104})
    assert fired(catalog, subscription) == []


def test_candle_is_as_old_as_a_value_may_be(catalog: sa.Engine) -> None:
    oldest = -25 * 60.0
    for first, alerts in ((oldest, [0.0]), (oldest - 1, [])):
        clear(catalog)
        store_minutes(catalog, {first: 100.0})
        subscription = add(catalog, HOUR)
        feed(catalog, {0: 105})
        assert minutes(fired(catalog, subscription)) == alerts


def test_candle_of_the_index_is_compared_over_the_same_exchanges(catalog: sa.Engine, settings: Settings) -> None:
    """When Coinbase, whose price is higher, no longer counts, the index falls by 6.7%, but no price has changed."""
    store_minutes(catalog, {-61.0: 150.0}, "index")
    subscription = subscribe(
        catalog, email="ada@example.org", coin="BTC", exchange="index", rule=HOUR, now=at(-1), confirmed=True
    ).id
    values = []
    for minute, exchanges in ((0, ("kraken", "coinbase")), (30, ("kraken",))):
        prices = {"kraken": 140.0, "coinbase": 160.0}
        load(catalog, *(quote(prices[each], minute, each) for each in exchanges), now=at(minute))
        compute_index(catalog, settings, at(minute))
        values.append([price.price for price in read_latest_prices(catalog, at(minute), "BTC", "index")])
        store_alerts(catalog, at(minute))
    assert values == [[150], [140]]
    assert fired(catalog, subscription) == []
