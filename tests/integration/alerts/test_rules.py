"""Every kind of rule fires exactly where its definition in plain Python does, however quotes are split into cycles."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.alerts import evaluation
from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.pipeline import store_alerts
from tests.support.definition import Definition
from tests.support.quotes import at, load, quote
from tests.support.rules import PRICES, RULES, add, clear, feed, fired, fired_steps, minutes

MINUTE = timedelta(minutes=1)


def test_window_change_compares_with_the_last_value_at_or_before_its_start(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("change_over_window", 10, "up", window_seconds=300))
    feed(catalog, {0: 100, 1: 109, 4.9: 109.9, 5: 110, 6: 119.8, 6.5: 100, 7: 130})
    assert minutes(fired(catalog, rule)) == [5, 7], "the condition is false at 6.5, which rearms the rule"


def test_window_rule_fires_once_until_rearmed(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("change_over_window", 5, "up", window_seconds=60))
    feed(catalog, dict(enumerate([100, 106, 113, 120, 121, 130, 138], 0)))
    assert minutes(fired(catalog, rule)) == [1, 5], "120 to 121 is less than 5%"


def test_average_excludes_the_new_value(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("deviation_from_average", 2, window_seconds=300))
    feed(catalog, {0: 100, 1: 100, 2: 100, 3: 100, 4: 102})
    assert minutes(fired(catalog, rule)) == [4], "including 102 in the mean, the change would be 1.6%"


@pytest.mark.parametrize(
    ("direction", "expected"), [("up", [1, 5]), ("down", [3]), ("either", [1, 3, 5])], ids=["up", "down", "either"]
)
def test_level_rule_fires_only_on_crossing(catalog: sa.Engine, direction: str, expected: list[float]) -> None:
    rule = add(catalog, Rule("crosses", 105, direction))  # type: ignore[arg-type]
    feed(catalog, dict(enumerate([104.9, 105, 110, 105, 100, 106, 107], 0)))
    assert minutes(fired(catalog, rule)) == expected


def test_leaving_a_level_is_not_a_crossing(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("crosses", 105))
    feed(catalog, {0: 105, 1: 110, 2: 105.0})
    assert minutes(fired(catalog, rule)) == [2]


def test_volume_rules_ignore_prices(catalog: sa.Engine) -> None:
    price = add(catalog, Rule("change_since_last", 5))
    volume = add(catalog, Rule("change_since_last", 50, metric="volume_24h"))
    for minute, amount in enumerate([1000.0, 1100.0, None, 2000.0, 0.0, 2000.0]):
        load(catalog, quote(100, minute, **({} if amount is None else {"volume_24h": amount})))
        store_alerts(catalog, at(minute))
    assert fired(catalog, price) == []
    assert minutes(fired(catalog, volume)) == [3, 4], (
        "quotes without a volume are skipped, and nothing is compared with zero"
    )


def test_snoozed_subscription_fires_again_afterwards(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("change_since_last", 5))
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE subscriptions SET snoozed_until = :until"), {"until": at(2)})
    feed(catalog, {0: 100, 1: 110, 2: 121})
    assert minutes(fired(catalog, rule)) == [2]


def test_old_alerts_after_an_outage_are_late(catalog: sa.Engine) -> None:
    add(catalog, Rule("change_since_last", 5))
    for minute, price in enumerate([100, 110, 121, 133]):
        load(catalog, quote(price, minute))
    store_alerts(catalog, at(3), max_age=timedelta(minutes=1.5))
    with transaction(catalog) as connection:
        rows = connection.execute(sa.text("SELECT observed_at, late FROM alerts ORDER BY observed_at")).all()
    assert [((row.observed_at - at(0)) / MINUTE, row.late) for row in rows] == [(1, True), (2, False), (3, False)]


@hypothesis_settings(max_examples=60)
@given(
    prices=PRICES,
    rules=st.lists(RULES, min_size=1, max_size=4, unique=True),
    cuts=st.sets(st.integers(0, 30)),
    max_rules=st.sampled_from([1, evaluation.MAX_RULES]),
)
def test_alerts_do_not_depend_on_how_quotes_are_split_into_cycles(
    catalog: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    prices: list[float],
    rules: list[Rule],
    cuts: set[int],
    max_rules: int,
) -> None:
    monkeypatch.setattr(evaluation, "MAX_RULES", max_rules)  # 1: no bounds are used
    clear(catalog)
    definitions = [Definition(rule, at(-1)) for rule in rules]
    subscriptions = [add(catalog, rule, email=f"p{number}@example.org") for number, rule in enumerate(rules)]
    for minute, price in enumerate(prices):
        load(catalog, quote(price, minute))
        for definition in definitions:
            definition.evaluate(at(minute), price)
        if minute in cuts:
            store_alerts(catalog, at(minute))
    store_alerts(catalog, at(len(prices)))
    for definition, subscription in zip(definitions, subscriptions, strict=True):
        assert fired(catalog, subscription) == definition.fired, definition.rule
        assert fired_steps(catalog, subscription) == definition.steps, definition.rule


def alert_emails(engine: sa.Engine) -> list[tuple[str, list[bool]]]:
    """The recipient of each email and, for each of its alerts, whether it is late."""
    with transaction(engine) as connection:
        rows = connection.execute(
            sa.text("SELECT recipient, payload FROM outbox WHERE kind = 'alerts' ORDER BY id")
        ).all()
    return [(row.recipient, [alert["late"] for alert in row.payload["alerts"]]) for row in rows]


def test_late_alert_is_sent_with_the_next_one(catalog: sa.Engine) -> None:
    add(catalog, Rule("change_since_last", 5))
    load(catalog, quote(100, 0), quote(110, 1), now=at(5))
    store_alerts(catalog, at(120), max_age=timedelta(hours=1))
    assert alert_emails(catalog) == []
    load(catalog, quote(121, 119), now=at(121))
    store_alerts(catalog, at(121), max_age=timedelta(hours=1))
    assert alert_emails(catalog) == [("ada@example.org", [True, False])]
    store_alerts(catalog, at(122), max_age=timedelta(hours=1))
    assert len(alert_emails(catalog)) == 1


def test_expired_subscription_stops_with_a_single_email(catalog: sa.Engine) -> None:
    rule = add(catalog, Rule("change_since_last", 5, expires_at=at(1.5)))
    feed(catalog, {0: 100, 1: 110, 2: 121})
    store_alerts(catalog, at(3))
    assert minutes(fired(catalog, rule)) == [1]
    with transaction(catalog) as connection:
        status = connection.execute(sa.text("SELECT status FROM subscriptions")).scalar_one()
        recipients = connection.execute(sa.text("SELECT recipient FROM outbox WHERE kind = 'expired'")).scalars().all()
    assert (status, list(recipients)) == ("expired", ["ada@example.org"])


@pytest.mark.parametrize("batch", [True, False], ids=["one batch", "minute by minute"])
def test_alert_fires_again_when_cooldown_ends_within_a_streak(catalog: sa.Engine, batch: bool) -> None:
    """The example in ADR 0004."""
    rule = add(catalog, Rule("deviation_from_average", 2, window_seconds=300, cooldown_seconds=240))
    prices = dict[float, float](enumerate([100, 103, 104, 102, 106, 108, 108]))
    if batch:
        load(catalog, *(quote(price, minute) for minute, price in prices.items()))
        store_alerts(catalog, at(6))
    else:
        feed(catalog, prices)
    assert minutes(fired(catalog, rule)) == [1, 5]


def test_late_value_is_skipped_by_the_last_value_and_included_in_windows(catalog: sa.Engine) -> None:
    """The example in docs/alerts.md."""
    rules = {
        "change_since_last": Rule("change_since_last", 5),
        "crosses": Rule("crosses", 200),
        "change_over_window": Rule("change_over_window", 5, window_seconds=180),
        "deviation_from_average": Rule("deviation_from_average", 5, window_seconds=300),
    }
    added = {name: add(catalog, rule, email=f"{name}@example.org") for name, rule in rules.items()}
    feed(catalog, {0: 100, 5: 101})
    load(catalog, quote(300, 3), now=at(5.5))
    store_alerts(catalog, at(5.5))
    assert [fired(catalog, each) for each in added.values()] == [[]] * 4
    feed(catalog, {6: 102})
    assert {name: minutes(fired(catalog, each)) for name, each in added.items()} == {
        "change_since_last": [],
        "crosses": [],
        "change_over_window": [6],
        "deviation_from_average": [6],
    }


@pytest.mark.parametrize(("hours", "expected"), [(5, [300]), (25, [1500]), (26, [])])
def test_reference_of_a_window_is_at_most_a_day_older_than_the_window(
    catalog: sa.Engine, hours: int, expected: list[float]
) -> None:
    """The example in docs/alerts.md: an outage that ends with a value 5% higher."""
    rule = add(catalog, Rule("change_over_window", 5, window_seconds=3600))
    feed(catalog, {0: 100, 60 * hours: 105})
    assert minutes(fired(catalog, rule)) == expected
