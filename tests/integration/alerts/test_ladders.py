"""Ladders: a rule fires again at every further N%, while its condition holds."""

import pytest
import sqlalchemy as sa

from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscription_changes import pause, resume
from coinwatch.alerts.subscriptions import get_subscription
from coinwatch.database import statement, transaction
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.rules import add, feed, fired, fired_steps, minutes

LEVEL = Rule("crosses", 100_000, "up", ladder_percent=5)
# The example of docs/alerts.md, and its alerts: the minute, the steps, and what the value is compared with.
PRICES = [99_000.0, 101_000, 104_900, 116_000, 108_000, 122_000, 99_500, 100_000]
ALERTS = [(1, None, 99_000), (3, 3, 100_000), (5, 1, 115_762.5), (7, None, 99_500)]


def alerts(engine: sa.Engine) -> list[tuple[float, int | None, float]]:
    with transaction(engine) as connection:
        query = sa.text("SELECT observed_at, steps, reference FROM alerts ORDER BY observed_at")
        rows = connection.execute(query).all()
    return [(minutes([row.observed_at])[0], row.steps, round(row.reference, 6)) for row in rows]


@pytest.mark.parametrize("batch", [False, True], ids=["minute by minute", "one batch"])
def test_steps_are_counted_from_the_level(catalog: sa.Engine, batch: bool) -> None:
    add(catalog, LEVEL)
    if batch:
        load(catalog, *(quote(price, minute) for minute, price in enumerate(PRICES)))
        store_alerts(catalog, at(len(PRICES)))
    else:
        feed(catalog, dict(enumerate(PRICES)))
    assert alerts(catalog) == ALERTS
    past = backtest(catalog, LEVEL, "BTC", "kraken", start=at(-1), end=at(60))
    assert [(minutes([alert.observed_at])[0], alert.steps) for alert in past.alerts] == [(m, s) for m, s, _ in ALERTS]


def test_either_direction_has_a_ladder_on_each_side_of_the_level(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("crosses", 100, "either", ladder_percent=5))
    feed(catalog, dict(enumerate([99.0, 101, 105, 99, 95, 94, 90.25])))
    assert minutes(fired(catalog, rule)) == [1, 2, 3, 4, 6]
    assert fired_steps(catalog, rule) == [None, 1, None, 1, 1], "90.25 is 5% below 95"


def test_step_reached_during_the_cooldown_fires_after_it(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("crosses", 100, "up", cooldown_seconds=180, ladder_percent=5))
    feed(catalog, dict(enumerate([99.0, 101, 106, 106, 106, 106])))
    assert minutes(fired(catalog, rule)) == [1, 4], "also if the value has not changed since"


def test_window_ladder_ends_when_the_condition_is_false(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("change_over_window", 5, "up", window_seconds=60, ladder_percent=2))
    feed(catalog, dict(enumerate([100.0, 106, 113, 114, 114, 120, 126.5])))
    assert minutes(fired(catalog, rule)) == [1, 2, 5, 6]
    assert fired_steps(catalog, rule) == [None, 3, None, 2], "113 to 114 is less than 5%"


def test_ladder_survives_any_number_of_runs_without_a_step(catalog: sa.Engine) -> None:
    rule = add(catalog, LEVEL)
    feed(catalog, dict(enumerate([99_000.0, 101_000, *[102_000.0] * 5, 106_000])))
    assert minutes(fired(catalog, rule)) == [1, 7]


def test_resuming_ends_the_ladder(catalog: sa.Engine) -> None:
    rule = add(catalog, LEVEL)
    feed(catalog, {0: 99_000, 1: 101_000})
    owner = get_subscription(catalog, rule).user_id
    pause(catalog, owner, rule)
    resume(catalog, owner, rule, at(1.5))
    feed(catalog, {2: 110_000})
    assert minutes(fired(catalog, rule)) == [1]


def test_volume_that_falls_to_zero_is_one_alert(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("crosses", 100, "down", "volume_24h", ladder_percent=5))
    for minute, volume in enumerate([120.0, 90.0, 0.0, 0.0]):
        load(catalog, quote(100, minute, volume_24h=volume))
        store_alerts(catalog, at(minute))
    assert minutes(fired(catalog, rule)) == [1, 2]


@pytest.mark.parametrize(("minute", "steps"), [(2, 1), (3, None)])
def test_corporate_action_restates_the_last_step(catalog: sa.Engine, minute: int, steps: int | None) -> None:
    """Ten old coins are one new one; the price is ten times as high."""
    rule = add(catalog, LEVEL)
    feed(catalog, {0: 99_000, 1: 101_000})
    parameters = {"instrument_id": get_subscription(catalog, rule).instrument_id, "ratio": 10, "effective_at": at(1.5)}
    with transaction(catalog) as connection:
        for name in ("restate_levels", "restate_steps", "restate_watermarks"):
            connection.execute(statement(f"alerts/corporate_actions/{name}"), parameters)
    feed(catalog, {minute: 1_050_000 if steps else 1_040_000})
    assert fired_steps(catalog, rule) == ([None, steps] if steps else [None])
