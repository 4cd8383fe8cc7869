"""New highs and lows fire exactly where their definition in plain Python does, live and in a backtest."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.alerts import evaluation
from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.pipeline import store_alerts
from coinwatch.prices.candles.refresh import refresh_candles
from tests.support.definition import Definition
from tests.support.quotes import at, load, quote
from tests.support.rules import EXTREME_RULES, INTERVALS, add, clear, fired, minutes

DAY = 1440
HIGH = Rule("new_high", 0, "up", window_seconds=86_400)
VALUES = st.lists(st.tuples(INTERVALS, st.sampled_from([90.0, 99.0, 100.0, 101.0, 110.0])), min_size=2, max_size=25)


def evaluate(engine: sa.Engine, values: dict[float, float]) -> None:
    """Load prices (also as volumes) by minute, with a cycle after each."""
    for minute, price in values.items():
        load(engine, quote(price, minute, volume_24h=price))
        refresh_candles(engine)
        store_alerts(engine, at(minute))


@hypothesis_settings(max_examples=60)
@given(
    values=VALUES,
    rules=st.lists(EXTREME_RULES, min_size=1, max_size=4, unique=True),
    cuts=st.sets(st.integers(0, 25)),
    max_rules=st.sampled_from([1, evaluation.MAX_RULES]),
)
def test_highs_and_lows_fire_as_defined(
    catalog: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    values: list[tuple[int, float]],
    rules: list[Rule],
    cuts: set[int],
    max_rules: int,
) -> None:
    monkeypatch.setattr(evaluation, "MAX_RULES", max_rules)
    clear(catalog)
    definitions = [Definition(rule, at(-1)) for rule in rules]
    subscriptions = [add(catalog, rule, email=f"p{number}@example.org") for number, rule in enumerate(rules)]
    minute = 0
    for number, (pause, price) in enumerate(values):
        load(catalog, quote(price, minute))
        for definition in definitions:
            definition.evaluate(at(minute), price)
        if number in cuts:
            refresh_candles(catalog)
            store_alerts(catalog, at(minute))
        minute += pause
    refresh_candles(catalog)
    store_alerts(catalog, at(minute))
    for definition, subscription in zip(definitions, subscriptions, strict=True):
        assert fired(catalog, subscription) == definition.fired, definition.rule
        past = backtest(catalog, definition.rule, "BTC", "kraken", start=at(-1), end=at(minute))
        assert [alert.observed_at for alert in past.alerts] == definition.fired, definition.rule


def test_value_equal_to_the_high_is_not_new(catalog: sa.Engine) -> None:
    rule = add(catalog, HIGH)
    evaluate(catalog, {0: 100, 1: 90, DAY + 1: 100, DAY + 2: 100.01})
    assert minutes(fired(catalog, rule)) == [DAY + 2]


def test_nothing_fires_without_enough_history(catalog: sa.Engine) -> None:
    day, all_time = add(catalog, HIGH), add(catalog, Rule("new_high", 0, "up"))
    evaluate(catalog, {0: 100, 60: 101, DAY - 61: 102, DAY + 60: 103})
    assert (minutes(fired(catalog, day)), minutes(fired(catalog, all_time))) == ([DAY + 60], [DAY + 60])


def test_high_that_left_the_period_no_longer_counts(catalog: sa.Engine) -> None:
    rule = add(catalog, HIGH)
    evaluate(catalog, {0: 120, 60: 100, DAY: 101, DAY + 59: 110, DAY + 60: 111})
    assert minutes(fired(catalog, rule)) == [DAY + 60], "the 120 counts until an hour after it, a day later"


def test_steady_rise_fires_once_per_cooldown(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("new_high", 0, "up", window_seconds=86_400, cooldown_seconds=86_400))
    evaluate(catalog, {0: 100} | {DAY + hour * 60: 101 + hour for hour in range(40)})
    assert minutes(fired(catalog, rule)) == [DAY, 2 * DAY]


def test_highs_of_exchange_candles_count(catalog: sa.Engine) -> None:
    """A high between two of our quotes is known from the exchange's candle."""
    rule = add(catalog, HIGH)
    evaluate(catalog, {0: 100, 300: 100})
    with transaction(catalog) as connection:
        connection.execute(
            sa.text("UPDATE candles SET high = 120 WHERE resolution = '1h' AND opened_at = :at"), {"at": at(300)}
        )
    evaluate(catalog, {DAY + 60: 119, DAY + 61: 121})
    assert minutes(fired(catalog, rule)) == [DAY + 61]


def test_margin_is_how_far_beyond_the_high(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("new_high", 5, "up", window_seconds=86_400))
    evaluate(catalog, {0: 100, DAY: 104, DAY + 1: 109, DAY + 2: 114.45})
    assert minutes(fired(catalog, rule)) == [DAY + 2]


@pytest.mark.parametrize("window", [86_400, 604_800])
def test_volume_reaches_a_high(catalog: sa.Engine, window: int) -> None:
    rule = Rule("new_high", 0, "up", "volume_24h", window_seconds=window)
    subscription = add(catalog, rule)
    days = window / 60
    evaluate(catalog, {0: 100, 60: 120, days / 2: 110, days: 119, days + 1: 121, days + 61: 120.5, days + 62: 122})
    assert minutes(fired(catalog, subscription)) == [days + 1, days + 62]
    past = backtest(catalog, rule, "BTC", "kraken", start=at(-1), end=at(days + 100))
    assert [alert.observed_at for alert in past.alerts] == fired(catalog, subscription)


def test_values_of_a_pause_count_when_the_rule_resumes(catalog: sa.Engine) -> None:
    """Nothing follows the extremes while no rule uses them."""
    rule = add(catalog, HIGH)
    status = sa.text("UPDATE subscriptions SET status = :status")
    evaluate(catalog, {0: 100, DAY: 99})
    with transaction(catalog) as connection:
        connection.execute(status, {"status": "paused"})
    evaluate(catalog, {DAY + 1: 120})
    with transaction(catalog) as connection:
        connection.execute(status, {"status": "active"})
    evaluate(catalog, {DAY + 2: 110, DAY + 3: 121})
    assert minutes(fired(catalog, rule)) == [DAY + 3]


def test_alert_is_compared_with_the_previous_high(catalog: sa.Engine) -> None:
    add(catalog, HIGH)
    evaluate(catalog, {0: 90, 300: 100, DAY: 110})
    with transaction(catalog) as connection:
        alert = connection.execute(sa.text("SELECT price, reference, reference_at, change_percent FROM alerts")).one()
    assert (alert.price, alert.reference, alert.change_percent) == (110, 100, pytest.approx(10))
    assert alert.reference_at - at(300) == timedelta(0), "the candle of that hour opened then"
