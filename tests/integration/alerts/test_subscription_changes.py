"""What users do to their own subscriptions, and its effect on the evaluation."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.rules import Metric, Rule
from coinwatch.alerts.subscriptions import unsubscribe
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound
from coinwatch.notifications.erasure import erase
from coinwatch.notifications.preferences import Preferences, set_preferences
from coinwatch.notifications.subscribers import list_alerts
from coinwatch.pipeline import store_alerts
from coinwatch.prices.catalog import FoundInstrument, find_instrument
from tests.support.quotes import at, load, quote
from tests.support.users import BOB, add, alert_minutes, feed, get_user


def test_changed_rule_is_armed_and_has_no_cooldown(catalog: sa.Engine) -> None:
    number = add(catalog, kind="change_over_window", window_seconds=60, cooldown_seconds=86_400)
    feed(catalog, 100, 110, 121)
    assert alert_minutes(catalog) == [1]
    me = get_user(catalog).id
    rule = Rule("change_over_window", 4.0, "up", "price", 60, 0, False)
    changed = changes.change_rule(catalog, me, number, rule, at(2.5))
    assert changed.condition == "the price rises by 4% or more within 1 minute"
    feed(catalog, 133, 146, first=3)
    assert alert_minutes(catalog) == [3, 1]
    assert changes.get_own_subscription(catalog, me, number).status == "ended"
    again = changes.change_rule(catalog, me, number, rule, at(4.5))
    assert again.status == "active", "changing an ended subscription activates it"
    feed(catalog, 161, first=5)
    assert alert_minutes(catalog) == [5, 3, 1]


def found(engine: sa.Engine, coin: str) -> FoundInstrument:
    with transaction(engine) as connection:
        return find_instrument(connection, coin, "kraken")


def test_kind_and_instrument_can_be_changed(catalog: sa.Engine) -> None:
    number = add(catalog, threshold=50.0)
    feed(catalog, 100)
    me = get_user(catalog).id
    moved = changes.change_rule(
        catalog, me, number, Rule("crosses", 2000.0, "up"), at(0.5), instrument=found(catalog, "ETH")
    )
    assert (moved.id, moved.pair, moved.kind, moved.status) == (number, "ETH/USD", "crosses", "active")
    load(catalog, quote(2100, 1, pair="ETH/USD"), quote(200, 1))
    store_alerts(catalog, at(1))
    assert alert_minutes(catalog) == [], "the first value is not a crossing, and BTC is not watched anymore"
    load(catalog, quote(1900, 2, pair="ETH/USD"), quote(2050, 3, pair="ETH/USD"))
    store_alerts(catalog, at(3))
    assert alert_minutes(catalog) == [3]


@pytest.mark.parametrize(
    ("coin", "metric", "is_new"), [("BTC", "price", False), ("ETH", "price", True), ("BTC", "volume_24h", True)]
)
def test_history_keeps_the_instrument_it_was_about(catalog: sa.Engine, coin: str, metric: Metric, is_new: bool) -> None:
    number = add(catalog)
    feed(catalog, 100, 110)
    me = get_user(catalog).id
    rule = Rule("change_since_last", 7.0, metric=metric)
    changed = changes.change_rule(catalog, me, number, rule, at(1.5), instrument=found(catalog, coin))
    assert (changed.id != number, changed.base, changed.metric, changed.status) == (is_new, coin, metric, "active")
    assert changes.get_own_subscription(catalog, me, number).status == ("unsubscribed" if is_new else "active")
    [alert] = list_alerts(catalog, me)
    assert (alert.subscription_id, alert.base, alert.metric) == (number, "BTC", "price")


def test_change_to_the_rule_of_another_instruments_alert_is_denied(catalog: sa.Engine) -> None:
    first, second = add(catalog), add(catalog, coin="ETH")
    me = get_user(catalog).id
    with pytest.raises(AlreadyExists, match=rf"ETH/USD .* \(alert {second}\)"):
        changes.change_rule(catalog, me, first, Rule(threshold=5.0), at(0), instrument=found(catalog, "ETH"))
    assert changes.get_own_subscription(catalog, me, first).base == "BTC"


def test_pending_and_paused_subscriptions_stay_so_when_changed(catalog: sa.Engine) -> None:
    number = add(catalog)
    me = get_user(catalog).id
    changes.pause(catalog, me, number)
    changed = changes.change_rule(catalog, me, number, Rule(threshold=7.0), at(0), instrument=found(catalog, "ETH"))
    assert (changed.status, changed.base) == ("paused", "ETH")


def test_duplicate_rule_is_denied(catalog: sa.Engine) -> None:
    first, second = add(catalog), add(catalog, threshold=6.0)
    me = get_user(catalog).id
    with pytest.raises(AlreadyExists, match=rf"moves by 5% or more between two updates \(alert {first}\)"):
        changes.change_rule(catalog, me, second, Rule(threshold=5.0), at(0))
    unsubscribe(catalog, first)
    changes.change_rule(catalog, me, second, Rule(threshold=5.0), at(0))
    with pytest.raises(AlreadyExists, match=f"alert {second}"):
        changes.resume(catalog, me, first, at(1))


def test_paused_and_snoozed_subscriptions_fire_again_afterwards(catalog: sa.Engine) -> None:
    number = add(catalog)
    me = get_user(catalog).id
    feed(catalog, 100, 110)
    changes.pause(catalog, me, number)
    assert changes.pause(catalog, me, number).status == "paused", "pausing twice is not an error"
    feed(catalog, 121, first=2)
    changes.resume(catalog, me, number, at(2.5))
    feed(catalog, 133, first=3)
    assert changes.snooze(catalog, me, number, at(5), at(3)).state(at(4)) == "snoozed"
    feed(catalog, 146, first=4)
    feed(catalog, 161, first=5)
    assert alert_minutes(catalog) == [5, 3, 1]
    changes.snooze(catalog, me, number, at(60), at(5))
    assert changes.snooze(catalog, me, number, None, at(5)).state(at(5)) == "active"
    feed(catalog, 177, first=6)
    assert alert_minutes(catalog) == [6, 5, 3, 1]
    with pytest.raises(InvalidRequest, match="up to 90 days"):
        changes.snooze(catalog, me, number, at(0) + timedelta(days=100), at(6))
    changes.pause(catalog, me, number)
    with pytest.raises(InvalidRequest, match="this one is paused"):
        changes.snooze(catalog, me, number, at(60), at(6))


def test_resuming_confirms_a_pending_subscription_and_restarts_an_ended_one(catalog: sa.Engine) -> None:
    number = add(catalog, confirmed=False)
    me = get_user(catalog).id
    with pytest.raises(InvalidRequest, match="this one is pending"):
        changes.pause(catalog, me, number)
    assert changes.resume(catalog, me, number, at(0)).status == "active"
    assert get_user(catalog).verified_at == at(0)
    add(catalog, threshold=9.0, expires_at=at(10))
    assert changes.unsubscribe_all(catalog, me) == 2
    feed(catalog, 100, 120)
    assert alert_minutes(catalog) == []
    changes.resume(catalog, me, number, at(2))
    feed(catalog, 140, first=3)
    assert alert_minutes(catalog) == [3]


def test_users_cannot_change_subscriptions_of_others(catalog: sa.Engine) -> None:
    mine, theirs = add(catalog), add(catalog, BOB)
    me = get_user(catalog).id
    actions: list[Callable[[], object]] = [
        lambda: changes.pause(catalog, me, theirs),
        lambda: changes.resume(catalog, me, theirs, at(0)),
        lambda: changes.snooze(catalog, me, theirs, at(9), at(0)),
        lambda: changes.change_rule(catalog, me, theirs, Rule(threshold=1.0), at(0)),
        lambda: changes.delete(catalog, me, theirs),
        lambda: changes.get_own_subscription(catalog, me, theirs),
    ]
    for action in actions:
        with pytest.raises(NotFound, match="doesn't exist"):
            action()
    before = get_user(catalog, BOB)
    changes.unsubscribe_all(catalog, me)
    set_preferences(catalog, me, Preferences("Asia/Tokyo"), at(0))
    changes.delete(catalog, me, mine)
    erase(catalog, me)
    assert get_user(catalog, BOB) == before


def test_deleting_a_subscription_deletes_its_alerts(catalog: sa.Engine) -> None:
    number, other = add(catalog), add(catalog, threshold=9.0)
    feed(catalog, 100, 110)
    me = get_user(catalog).id
    assert [(own.id, own.alerts, own.last_alert_at) for own in get_user(catalog).subscriptions] == [
        (number, 1, at(1)),
        (other, 1, at(1)),
    ]
    changes.delete(catalog, me, number)
    assert [own.id for own in get_user(catalog).subscriptions] == [other]
    assert [alert.subscription_id for alert in list_alerts(catalog, me)] == [other]
