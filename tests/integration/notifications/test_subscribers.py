"""A subscriber's alerts, settings, suppression and the emails they can request."""

from datetime import time

import pytest
import sqlalchemy as sa

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.subscriptions import unsubscribe
from coinwatch.database import transaction
from coinwatch.errors import InvalidRequest
from coinwatch.notifications.erasure import erase_unconfirmed
from coinwatch.notifications.preferences import Preferences, set_preferences
from coinwatch.notifications.requested_emails import request_manage_link
from coinwatch.notifications.subscribers import AlertFilters, list_alerts
from coinwatch.notifications.suppression import lift_suppression
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import confirm_one
from tests.support.users import ADA, add, columns_containing, deliver, feed, get_user, queued_kinds


def test_deleting_a_subscription_deletes_its_held_alerts(catalog: sa.Engine) -> None:
    number, other = add(catalog), add(catalog, threshold=9.0)
    me = get_user(catalog).id
    set_preferences(catalog, me, Preferences(digest="daily"), at(0))
    feed(catalog, 100, 106)
    held = get_user(catalog).held
    assert held is not None
    assert (held.reason, held.since) == ("digest", at(1))
    changes.delete(catalog, me, number)
    day = 24 * 60
    load(catalog, quote(106, day))
    store_alerts(catalog, at(day))
    assert get_user(catalog).held is None
    assert queued_kinds(catalog) == []
    load(catalog, quote(120, day + 1))
    store_alerts(catalog, at(day + 1))
    assert [alert.subscription_id for alert in list_alerts(catalog, me)] == [other]


def test_alert_history_is_paginated(catalog: sa.Engine) -> None:
    add(catalog)
    feed(catalog, 100, 110, 121, 133, 146, 161)
    me = get_user(catalog).id
    first = list_alerts(catalog, me, limit=3)
    rest = list_alerts(catalog, me, AlertFilters(before=first[-1].id), limit=3)
    assert [(alert.observed_at - at(0)).seconds // 60 for alert in first + rest] == [5, 4, 3, 2, 1]
    assert (first[0].price, first[0].reference, first[0].unit, first[0].email_status) == (161, 146, "USD", "queued")


@pytest.mark.parametrize(
    ("preferences", "field", "message"),
    [
        (Preferences("Europe/Berln"), "timezone", "Did you mean Europe/Berlin"),
        (Preferences("Factory'; DROP"), "timezone", "is not a time zone"),
        (Preferences(quiet_from=time(22)), "quiet_until", "both a start and an end"),
        (Preferences(quiet_until=time(22)), "quiet_from", "both a start and an end"),
        (Preferences(quiet_from=time(22), quiet_until=time(22)), "quiet_until", "can't end when they start"),
        (Preferences(digest="hourly"), "digest", "none, daily, weekly"),  # type: ignore[arg-type]
    ],
)
def test_invalid_preferences_are_reported_by_field(
    catalog: sa.Engine, preferences: Preferences, field: str, message: str
) -> None:
    add(catalog)
    with pytest.raises(InvalidRequest, match=message) as caught:
        set_preferences(catalog, get_user(catalog).id, preferences, at(0))
    assert caught.value.field == field
    assert get_user(catalog).preferences == Preferences()


def test_saving_preferences_starts_the_digest_period_once(catalog: sa.Engine) -> None:
    add(catalog)
    wanted = Preferences("America/St_Johns", time(22, 30), time(7), "daily")
    set_preferences(catalog, get_user(catalog).id, wanted, at(0))
    set_preferences(catalog, get_user(catalog).id, wanted, at(9))
    assert get_user(catalog).preferences == wanted
    assert get_user(catalog).digest_sent_at == at(0)


def test_subscriber_can_lift_their_own_suppression(catalog: sa.Engine, mailbox: Mailbox) -> None:
    add(catalog), add(catalog, threshold=6.0)
    mailbox.replies = {ADA: "550 5.1.1 no such user"}
    feed(catalog, 100, 110)
    deliver(catalog, mailbox, at(1))
    suppressed = get_user(catalog)
    assert (suppressed.suppressed_at, suppressed.suppression_reason) == (at(1), "550 5.1.1 no such user")
    assert {own.status for own in suppressed.subscriptions} == {"paused"}
    mailbox.replies = {}
    lift_suppression(catalog, suppressed.id)
    lifted = get_user(catalog)
    assert (lifted.suppressed_at, lifted.suppression_reason) == (None, None)
    assert {own.status for own in lifted.subscriptions} == {"paused"}
    assert changes.resume_all(catalog, lifted.id, at(2)) == 2
    feed(catalog, 121, first=3)
    deliver(catalog, mailbox, at(3))
    assert [message["To"] for message in mailbox.messages] == [ADA]


def test_manage_link_is_sent_to_known_addresses_at_most_three_times_an_hour(catalog: sa.Engine) -> None:
    add(catalog)
    request_manage_link(catalog, "nobody@example.org", at(0))
    request_manage_link(catalog, " ADA@example.org", at(0))
    assert (queued_kinds(catalog), queued_kinds(catalog, "nobody@example.org")) == (["manage"], [])
    add(catalog, threshold=7.0, minutes=1, confirmed=False)
    assert queued_kinds(catalog) == ["manage", "confirmation"]
    for minute in range(2, 6):
        request_manage_link(catalog, ADA, at(minute))
    assert queued_kinds(catalog) == ["manage", "confirmation", "manage"], "confirmations and links share the limit"
    request_manage_link(catalog, ADA, at(61))
    assert queued_kinds(catalog)[3:] == ["manage"]


def test_unconfirmed_address_gets_a_new_confirmation_email(catalog: sa.Engine) -> None:
    number = add(catalog, confirmed=False)
    request_manage_link(catalog, ADA, at(1))
    assert queued_kinds(catalog) == ["confirmation", "confirmation"]
    confirm_one(catalog, number, at(2))
    request_manage_link(catalog, ADA, at(3))
    assert queued_kinds(catalog)[2:] == ["manage"]


def test_unconfirmed_users_are_erased_after_a_week(catalog: sa.Engine) -> None:
    week = 7 * 24 * 60
    add(catalog)
    add(catalog, threshold=9.0, confirmed=False)
    for email in ("never@example.org", "unsent@example.org", "again@example.org"):
        add(catalog, email, confirmed=False)
    left = add(catalog, "left@example.org", confirmed=False)
    unsubscribe(catalog, left)
    add(catalog, "again@example.org", minutes=60, confirmed=False)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE outbox SET status = 'sent' WHERE recipient <> 'unsent@example.org'"))
    assert erase_unconfirmed(catalog, at(week - 2)) == 0
    assert [own.status for own in get_user(catalog).subscriptions] == ["active", "pending"]
    assert erase_unconfirmed(catalog, at(week)) == 2
    with transaction(catalog) as connection:
        kept = connection.execute(sa.text("SELECT email FROM users ORDER BY email")).scalars().all()
    assert list(kept) == [ADA, "again@example.org", "unsent@example.org"]
    assert [own.status for own in get_user(catalog).subscriptions] == ["active"], "anyone may have requested the other"
    assert erase_unconfirmed(catalog, at(week + 100)) == 1
    assert columns_containing(catalog, "never@example") == columns_containing(catalog, "again@example") == set()
