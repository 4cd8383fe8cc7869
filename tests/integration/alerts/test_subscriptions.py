"""Creating, confirming and ending subscriptions, and validation of the input."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import (
    MAX_PENDING,
    MAX_SUBSCRIPTIONS,
    check_address,
    confirm,
    list_pending,
    list_subscriptions,
    unsubscribe,
)
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound, TooManySubscriptions
from coinwatch.notifications.requested_emails import EMAILS_PER_DAY
from tests.support.quotes import at
from tests.support.subscriptions import confirm_one, subscribe


def request(engine: sa.Engine, **changes: Any) -> Any:
    fields = {"threshold": 5.0} | {name: changes.pop(name) for name in set(changes) & set(Rule.__slots__)}
    arguments: dict[str, Any] = {
        "email": "ada@example.org",
        "coin": "BTC",
        "rule": Rule(**fields),  # type: ignore[arg-type]
        "now": at(0),
        "confirmed": True,
    }
    return subscribe(engine, **arguments | changes)


def confirmations(engine: sa.Engine) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM outbox WHERE kind = 'confirmation'")).scalar_one())


def test_operator_subscription_is_active_immediately(catalog: sa.Engine) -> None:
    made = request(catalog)
    assert (made.status, made.exchange, made.base, made.quote) == ("active", "index", "BTC", "USD")
    assert confirmations(catalog) == 0
    assert list_subscriptions(catalog, "ADA@example.org") == [made]


def test_unconfirmed_subscription_is_pending_until_confirmed(catalog: sa.Engine) -> None:
    made = request(catalog, confirmed=False)
    assert made.status == "pending"
    assert confirmations(catalog) == 1
    assert confirm_one(catalog, made.id, at(5)).status == "active"
    assert confirm_one(catalog, made.id, at(6)).status == "active", "confirming twice is not an error"
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT verified_at FROM users")).scalar_one() == at(5)
        assert connection.execute(sa.text("SELECT active_from FROM subscriptions")).scalar_one() == at(5)


def test_duplicate_is_denied_with_the_existing_id(catalog: sa.Engine) -> None:
    made = request(catalog)
    with pytest.raises(AlreadyExists, match=f"subscription {made.id}"):
        request(catalog, email="ADA@example.org")
    assert request(catalog, threshold=6.0).id != made.id
    unsubscribe(catalog, made.id)
    assert request(catalog).id != made.id, "an ended subscription can be created again"


def test_repeated_request_while_pending_is_rate_limited(catalog: sa.Engine) -> None:
    ids = {request(catalog, confirmed=False, now=at(minute)).id for minute in range(10)}
    assert len(ids) == 1
    assert confirmations(catalog) == 3
    request(catalog, confirmed=False, now=at(70))
    assert confirmations(catalog) == 4


def test_form_is_no_way_to_flood_an_inbox(catalog: sa.Engine) -> None:
    """Three emails an hour would be 72 a day, from as many visitors as it takes."""
    for number in range(48):
        request(catalog, threshold=1.0 + number, confirmed=False, now=at(number * 30))
    assert confirmations(catalog) == EMAILS_PER_DAY
    request(catalog, threshold=500.0, confirmed=False, now=at(48 * 60))
    assert confirmations(catalog) == EMAILS_PER_DAY + 1


def test_suppressed_address_gets_one_requested_email_a_day(catalog: sa.Engine) -> None:
    request(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = '550'"), {"now": at(1)})
    for hour in range(26):
        request(catalog, threshold=6.0 + hour, confirmed=False, now=at(60 * hour + 2))
    assert confirmations(catalog) == 2


def test_only_one_confirmation_per_minute_is_sent(catalog: sa.Engine) -> None:
    for minute in (0.1, 0.11, 0.9):
        request(catalog, confirmed=False, now=at(minute))
    assert confirmations(catalog) == 1


def test_operator_confirms_a_pending_subscription(catalog: sa.Engine) -> None:
    pending = request(catalog, confirmed=False)
    assert request(catalog, now=at(1)).status == "active"
    assert [row.id for row in list_subscriptions(catalog)] == [pending.id]


def test_ended_subscription_can_be_ended_again_but_not_confirmed(catalog: sa.Engine) -> None:
    made = request(catalog, confirmed=False)
    assert unsubscribe(catalog, made.id).status == "unsubscribed"
    assert unsubscribe(catalog, made.id).status == "unsubscribed"
    assert confirm(catalog, made.user_id, at(1)) == []
    assert list_subscriptions(catalog)[0].status == "unsubscribed"
    with pytest.raises(NotFound, match="999"):
        unsubscribe(catalog, 999)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ada"}, "email"),
        ({"email": "ada@example.org\nBcc: everyone@example.org"}, "email"),
        ({"email": "ada@example.org, bob@example.org"}, "email"),
        ({"email": "Ada <ada@example.org>"}, "email"),
        ({"email": "a" * 65 + "@example.org"}, "email"),
        ({"email": "ada@" + "a." * 130 + "org"}, "email"),
        ({"threshold": 0.0}, "threshold_percent"),
        ({"threshold": -5.0}, "threshold_percent"),
        ({"threshold": float("nan")}, "threshold_percent"),
        ({"threshold": float("inf")}, "threshold_percent"),
        ({"direction": "sideways"}, "direction"),
        ({"cooldown_seconds": -1}, "cooldown_seconds"),
    ],
)
def test_invalid_input_is_reported_by_field(catalog: sa.Engine, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        request(catalog, **changes)
    assert caught.value.field == field
    assert list_subscriptions(catalog) == []


@given(st.text(max_size=40) | st.emails())
def test_accepted_address_is_safe_in_a_header(text: str) -> None:
    try:
        address = check_address(text)
    except InvalidRequest:
        return
    assert address.isascii()
    assert address.isprintable()
    assert address.count("@") == 1
    assert not set(address) & set(' ,;:<>()[]"\\')


def queued(engine: sa.Engine) -> list[tuple[str, str | None]]:
    with transaction(engine) as connection:
        rows = connection.execute(sa.text("SELECT kind, payload ->> 'reason' AS reason FROM outbox ORDER BY id"))
        return [(row.kind, row.reason) for row in rows]


def test_duplicate_public_request_emails_the_manage_link_with_rate_limit(catalog: sa.Engine) -> None:
    made = request(catalog)
    for minute in range(5):
        with pytest.raises(AlreadyExists):
            request(catalog, confirmed=False, email="ADA@example.org", now=at(minute))
    assert queued(catalog) == [("manage", "already")] * 3
    request(catalog, confirmed=False, threshold=6.0, now=at(6))
    assert queued(catalog) == [("manage", "already")] * 3, "confirmations share the rate limit"
    with transaction(catalog) as connection:
        payload = connection.execute(sa.text("SELECT payload FROM outbox LIMIT 1")).scalar_one()
    assert payload == {"reason": "already", "condition": made.condition, "pair": "BTC/USD"}


def test_duplicate_operator_request_sends_no_email(catalog: sa.Engine) -> None:
    request(catalog)
    with pytest.raises(AlreadyExists):
        request(catalog)
    assert queued(catalog) == []


def suppressed(engine: sa.Engine) -> bool:
    with transaction(engine) as connection:
        return bool(connection.execute(sa.text("SELECT suppressed_at IS NOT NULL FROM users")).scalar_one())


def test_confirming_lifts_the_suppression(catalog: sa.Engine) -> None:
    request(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = '550'"), {"now": at(1)})
    made = request(catalog, confirmed=False, threshold=6.0, now=at(2))
    assert queued(catalog) == [("confirmation", None)]
    assert suppressed(catalog), "a request alone does not lift it"
    confirm_one(catalog, made.id, at(3))
    assert not suppressed(catalog)


def test_operator_subscription_lifts_the_suppression(catalog: sa.Engine) -> None:
    request(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = '550'"), {"now": at(1)})
    request(catalog, threshold=6.0)
    assert not suppressed(catalog)


def test_pending_alerts_of_strangers_do_not_lock_the_owner_out(catalog: sa.Engine) -> None:
    """However many a stranger requests, the response is the same, and the owner's newest request is kept."""
    for number in range(MAX_PENDING + 5):
        assert request(catalog, threshold=1.0 + number, confirmed=False, now=at(number)).status == "pending"
    mine = request(catalog, threshold=500.0, confirmed=False, now=at(200))
    pending = list_pending(catalog, mine.user_id)
    assert (len(pending), pending[0].threshold, pending[-1].id) == (MAX_PENDING, 7.0, mine.id)
    for number in range(MAX_PENDING - 1):
        request(catalog, threshold=600.0 + number, confirmed=False, now=at(201 + number))
    request(catalog, threshold=500.0, confirmed=False, now=at(400))
    request(catalog, threshold=999.0, confirmed=False, now=at(401))
    assert mine.id in {own.id for own in list_pending(catalog, mine.user_id)}, "requested again, so it is a newer one"
    assert request(catalog, threshold=0.5).status == "active", "pending ones don't count"
    assert [own.id for own in confirm(catalog, mine.user_id, at(402), [mine.id])] == [mine.id]


def test_every_way_to_activate_an_alert_respects_the_maximum(catalog: sa.Engine) -> None:
    ended, expired, paused = (request(catalog, threshold=900.0 + number) for number in range(3))
    user = ended.user_id
    unsubscribe(catalog, ended.id)
    unsubscribe(catalog, expired.id)
    changes.pause(catalog, user, paused.id)
    for number in range(MAX_SUBSCRIPTIONS - 1):
        request(catalog, threshold=1.0 + number)
    pending = request(catalog, threshold=500.0, confirmed=False)
    attempts = [
        lambda: request(catalog, threshold=501.0),
        lambda: request(catalog, threshold=500.0),
        lambda: confirm(catalog, user, at(1)),
        lambda: confirm(catalog, user, at(1), [pending.id]),
        lambda: changes.resume(catalog, user, pending.id, at(1)),
        lambda: changes.resume(catalog, user, ended.id, at(1)),
        lambda: changes.change_rule(catalog, user, expired.id, Rule(threshold=700.0), at(1)),
    ]
    for attempt in attempts:
        with pytest.raises(TooManySubscriptions, match="up to 100 alerts"):
            attempt()
    found = {own.id: own.status for own in list_subscriptions(catalog)}
    assert (found[pending.id], found[ended.id], found[expired.id]) == ("pending", "unsubscribed", "unsubscribed")
    assert changes.resume(catalog, user, paused.id, at(2)).status == "active", "a paused one already counts"
    assert changes.change_rule(catalog, user, paused.id, Rule(threshold=700.0), at(2)).threshold == 700.0
    with pytest.raises(AlreadyExists):
        request(catalog, threshold=700.0)
    changes.delete(catalog, user, paused.id)
    assert confirm(catalog, user, at(3))[0].id == pending.id
