"""What people do to their own alerts and wishes, and what that does to the matcher at work."""

from collections.abc import Callable
from datetime import time, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import confirm, unsubscribe
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound
from coinwatch.notifications.erasure import erase, erase_unconfirmed
from coinwatch.notifications.preferences import Preferences, set_preferences
from coinwatch.notifications.requested_emails import request_manage_link
from coinwatch.notifications.subscribers import list_alerts
from coinwatch.notifications.suppression import lift_suppression
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.smtp_server import Mailbox
from tests.support.users import ADA, BOB, add, deliver, feed, kinds, person, places_of, told


def test_a_changed_rule_judges_only_what_comes_armed_and_rested(catalog: sa.Engine) -> None:
    number = add(catalog, kind="change_over_window", window_seconds=60, cooldown_seconds=86_400)
    feed(catalog, 100, 110, 121)
    assert told(catalog) == [1]
    me = person(catalog).id
    rule = Rule("change_over_window", 4.0, "up", "price", 60, 0, False)
    changed = changes.change_rule(catalog, me, number, rule, at(2.5))
    assert changed.condition == "the price rises by 4% or more within 1 minute"
    feed(catalog, 133, 146, first=3)
    assert told(catalog) == [3, 1]
    assert changes.own_subscription(catalog, me, number).status == "ended"
    again = changes.change_rule(catalog, me, number, rule, at(4.5))
    assert again.status == "active", "changing a rule that has ended starts it again"
    feed(catalog, 161, first=5)
    assert told(catalog) == [5, 3, 1]


def test_a_rule_that_the_person_has_already_is_refused(catalog: sa.Engine) -> None:
    first, second = add(catalog), add(catalog, threshold=6.0)
    me = person(catalog).id
    with pytest.raises(AlreadyExists, match=f"moves by 5% or more between two updates: number {first}"):
        changes.change_rule(catalog, me, second, Rule(threshold=5.0), at(0))
    unsubscribe(catalog, first)
    changes.change_rule(catalog, me, second, Rule(threshold=5.0), at(0))
    with pytest.raises(AlreadyExists, match=f"number {second}"):
        changes.resume(catalog, me, first, at(1))
    with pytest.raises(InvalidRequest, match="keeps its kind"):
        changes.change_rule(catalog, me, second, Rule("crosses", 5.0), at(0))


def test_paused_and_sleeping_rules_are_silent_and_wake_for_what_comes(catalog: sa.Engine) -> None:
    number = add(catalog)
    me = person(catalog).id
    feed(catalog, 100, 110)
    changes.pause(catalog, me, number)
    assert changes.pause(catalog, me, number).status == "paused", "pressing the button twice is no error"
    feed(catalog, 121, first=2)
    changes.resume(catalog, me, number, at(2.5))
    feed(catalog, 133, first=3)
    assert changes.snooze(catalog, me, number, at(5), at(3)).state(at(4)) == "snoozed"
    feed(catalog, 146, first=4)
    feed(catalog, 161, first=5)
    assert told(catalog) == [5, 3, 1]
    changes.snooze(catalog, me, number, at(60), at(5))
    assert changes.snooze(catalog, me, number, None, at(5)).state(at(5)) == "active"
    feed(catalog, 177, first=6)
    assert told(catalog) == [6, 5, 3, 1]
    with pytest.raises(InvalidRequest, match="up to 90 days"):
        changes.snooze(catalog, me, number, at(0) + timedelta(days=100), at(6))
    changes.pause(catalog, me, number)
    with pytest.raises(InvalidRequest, match="this one is paused"):
        changes.snooze(catalog, me, number, at(60), at(6))


def test_what_waits_is_confirmed_and_what_has_ended_starts_again(catalog: sa.Engine) -> None:
    number = add(catalog, confirmed=False)
    me = person(catalog).id
    with pytest.raises(InvalidRequest, match="this one is pending"):
        changes.pause(catalog, me, number)
    assert changes.resume(catalog, me, number, at(0)).status == "active"
    assert person(catalog).verified_at == at(0)
    add(catalog, threshold=9.0, expires_at=at(10))
    assert changes.unsubscribe_all(catalog, me) == 2
    feed(catalog, 100, 120)
    assert told(catalog) == []
    changes.resume(catalog, me, number, at(2))
    feed(catalog, 140, first=3)
    assert told(catalog) == [3]


def test_nobody_touches_what_is_not_theirs(catalog: sa.Engine) -> None:
    mine, theirs = add(catalog), add(catalog, BOB)
    me = person(catalog).id
    acts: list[Callable[[], object]] = [
        lambda: changes.pause(catalog, me, theirs),
        lambda: changes.resume(catalog, me, theirs, at(0)),
        lambda: changes.snooze(catalog, me, theirs, at(9), at(0)),
        lambda: changes.change_rule(catalog, me, theirs, Rule(threshold=1.0), at(0)),
        lambda: changes.delete(catalog, me, theirs),
        lambda: changes.own_subscription(catalog, me, theirs),
    ]
    for act in acts:
        with pytest.raises(NotFound, match="no such alert"):
            act()
    before = person(catalog, BOB)
    changes.unsubscribe_all(catalog, me)
    set_preferences(catalog, me, Preferences("Asia/Tokyo"), at(0))
    changes.delete(catalog, me, mine)
    erase(catalog, me)
    assert person(catalog, BOB) == before


def test_a_deleted_alert_goes_with_what_it_told(catalog: sa.Engine) -> None:
    number, other = add(catalog), add(catalog, threshold=9.0)
    feed(catalog, 100, 110)
    me = person(catalog).id
    assert [(own.id, own.alerts, own.last_alert_at) for own in person(catalog).subscriptions] == [
        (number, 1, at(1)),
        (other, 1, at(1)),
    ]
    changes.delete(catalog, me, number)
    assert [own.id for own in person(catalog).subscriptions] == [other]
    assert [alert.subscription_id for alert in list_alerts(catalog, me)] == [other]


def test_what_was_held_for_a_deleted_alert_holds_up_nothing(catalog: sa.Engine) -> None:
    number, other = add(catalog), add(catalog, threshold=9.0)
    me = person(catalog).id
    set_preferences(catalog, me, Preferences(digest="daily"), at(0))
    feed(catalog, 100, 106)
    held = person(catalog).held
    assert held is not None
    assert (held.reason, held.since) == ("digest", at(1))
    changes.delete(catalog, me, number)
    day = 24 * 60
    load(catalog, quote(106, day))
    store_alerts(catalog, at(day))
    assert person(catalog).held is None
    assert kinds(catalog) == []
    load(catalog, quote(120, day + 1))
    store_alerts(catalog, at(day + 1))
    assert [alert.subscription_id for alert in list_alerts(catalog, me)] == [other]


def test_alerts_are_told_a_page_at_a_time(catalog: sa.Engine) -> None:
    add(catalog)
    feed(catalog, 100, 110, 121, 133, 146, 161)
    me = person(catalog).id
    first = list_alerts(catalog, me, at_most=3)
    rest = list_alerts(catalog, me, before=first[-1].id, at_most=3)
    assert [(alert.observed_at - at(0)).seconds // 60 for alert in first + rest] == [5, 4, 3, 2, 1]
    assert (first[0].price, first[0].reference, first[0].unit, first[0].email_status) == (161, 146, "USD", "queued")


@pytest.mark.parametrize(
    ("preferences", "field", "words"),
    [
        (Preferences("Europe/Berln"), "timezone", "Did you mean Europe/Berlin"),
        (Preferences("Factory'; DROP"), "timezone", "There is no time zone"),
        (Preferences(quiet_from=time(22)), "quiet_until", "both a start and an end"),
        (Preferences(quiet_until=time(22)), "quiet_from", "both a start and an end"),
        (Preferences(quiet_from=time(22), quiet_until=time(22)), "quiet_until", "can't end when they start"),
        (Preferences(digest="hourly"), "digest", "none, daily, weekly"),  # type: ignore[arg-type]
    ],
)
def test_impossible_preferences_are_refused_with_what_is_possible(
    catalog: sa.Engine, preferences: Preferences, field: str, words: str
) -> None:
    add(catalog)
    with pytest.raises(InvalidRequest, match=words) as refused:
        set_preferences(catalog, person(catalog).id, preferences, at(0))
    assert refused.value.field == field
    assert person(catalog).preferences == Preferences()


def test_preferences_are_kept_and_the_first_digest_tells_nothing_of_before(catalog: sa.Engine) -> None:
    add(catalog)
    wanted = Preferences("America/St_Johns", time(22, 30), time(7), "daily")
    set_preferences(catalog, person(catalog).id, wanted, at(0))
    set_preferences(catalog, person(catalog).id, wanted, at(9))
    assert person(catalog).preferences == wanted
    assert person(catalog).digest_sent_at == at(0)


def test_only_the_person_wakes_a_refused_address(catalog: sa.Engine, mailbox: Mailbox) -> None:
    add(catalog), add(catalog, threshold=6.0)
    mailbox.answers = {ADA: "550 5.1.1 no such user"}
    feed(catalog, 100, 110)
    deliver(catalog, mailbox, at(1))
    refused = person(catalog)
    assert (refused.suppressed_at, refused.suppression_reason) == (at(1), "550 5.1.1 no such user")
    assert {own.status for own in refused.subscriptions} == {"paused"}
    mailbox.answers = {}
    lift_suppression(catalog, refused.id)
    woken = person(catalog)
    assert (woken.suppressed_at, woken.suppression_reason) == (None, None)
    assert {own.status for own in woken.subscriptions} == {"paused"}
    assert changes.resume_all(catalog, woken.id, at(2)) == 2
    feed(catalog, 121, first=3)
    deliver(catalog, mailbox, at(3))
    assert [message["To"] for message in mailbox.messages] == [ADA]


def test_a_link_is_mailed_to_known_addresses_at_most_three_times_an_hour(catalog: sa.Engine) -> None:
    add(catalog)
    request_manage_link(catalog, "nobody@example.org", at(0))
    request_manage_link(catalog, " ADA@example.org", at(0))
    assert (kinds(catalog), kinds(catalog, "nobody@example.org")) == (["manage"], [])
    add(catalog, threshold=7.0, minutes=1, confirmed=False)
    assert kinds(catalog) == ["manage", "confirmation"]
    for minute in range(2, 6):
        request_manage_link(catalog, ADA, at(minute))
    assert kinds(catalog) == ["manage", "confirmation", "manage"], "confirmations and links count together"
    request_manage_link(catalog, ADA, at(61))
    assert kinds(catalog)[3:] == ["manage"]


def test_an_unconfirmed_address_gets_nothing_but_the_question(catalog: sa.Engine) -> None:
    number = add(catalog, confirmed=False)
    request_manage_link(catalog, ADA, at(1))
    assert kinds(catalog) == ["confirmation", "confirmation"]
    confirm(catalog, number, at(2))
    request_manage_link(catalog, ADA, at(3))
    assert kinds(catalog)[2:] == ["manage"]


def test_addresses_that_nobody_confirms_are_forgotten_after_a_week(catalog: sa.Engine) -> None:
    week = 7 * 24 * 60
    add(catalog)
    add(catalog, threshold=9.0, confirmed=False)
    for email in ("never@example.org", "unsent@example.org", "anew@example.org"):
        add(catalog, email, confirmed=False)
    left = add(catalog, "left@example.org", confirmed=False)
    unsubscribe(catalog, left)
    add(catalog, "anew@example.org", minutes=60, confirmed=False)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE outbox SET status = 'sent' WHERE recipient <> 'unsent@example.org'"))
    assert erase_unconfirmed(catalog, at(week - 2)) == 0
    assert erase_unconfirmed(catalog, at(week)) == 2
    with transaction(catalog) as connection:
        kept = connection.execute(sa.text("SELECT email FROM users ORDER BY email")).scalars().all()
    assert list(kept) == [ADA, "anew@example.org", "unsent@example.org"]
    assert [own.status for own in person(catalog).subscriptions] == ["active", "pending"]
    assert erase_unconfirmed(catalog, at(week + 100)) == 1
    assert places_of(catalog, "never@example") == places_of(catalog, "anew@example") == set()
