"""A subscription's life, and what people type."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import MAX_SUBSCRIPTIONS, check_address, confirm, list_subscriptions, unsubscribe
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound, TooManySubscriptions
from tests.support.quotes import at
from tests.support.subscriptions import subscribe


def ask(engine: sa.Engine, **changes: Any) -> Any:
    fields = {"threshold": 5.0} | {name: changes.pop(name) for name in set(changes) & set(Rule.__slots__)}
    wish: dict[str, Any] = {
        "email": "ada@example.org",
        "coin": "BTC",
        "rule": Rule(**fields),  # type: ignore[arg-type]
        "now": at(0),
        "confirmed": True,
    }
    return subscribe(engine, **wish | changes)


def confirmations(engine: sa.Engine) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM outbox WHERE kind = 'confirmation'")).scalar_one())


def test_an_operators_word_makes_it_active_at_once(catalog: sa.Engine) -> None:
    made = ask(catalog)
    assert (made.status, made.exchange, made.base, made.quote) == ("active", "index", "BTC", "USD")
    assert confirmations(catalog) == 0
    assert list_subscriptions(catalog, "ADA@example.org") == [made]


def test_a_stranger_has_to_confirm(catalog: sa.Engine) -> None:
    made = ask(catalog, confirmed=False)
    assert made.status == "pending"
    assert confirmations(catalog) == 1
    assert confirm(catalog, made.id, at(5)).status == "active"
    assert confirm(catalog, made.id, at(6)).status == "active", "pressing the button twice is no error"
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT verified_at FROM users")).scalar_one() == at(5)
        assert connection.execute(sa.text("SELECT active_from FROM subscriptions")).scalar_one() == at(5)


def test_the_same_rule_twice_is_refused_with_its_number(catalog: sa.Engine) -> None:
    made = ask(catalog)
    with pytest.raises(AlreadyExists, match=f"subscription {made.id}"):
        ask(catalog, email="ADA@example.org")
    assert ask(catalog, threshold=6.0).id != made.id
    unsubscribe(catalog, made.id)
    assert ask(catalog).id != made.id, "after ending it, the same rule can be made again"


def test_asking_again_while_unconfirmed_sends_few_mails_and_makes_no_second_rule(catalog: sa.Engine) -> None:
    ids = {ask(catalog, confirmed=False, now=at(minute)).id for minute in range(10)}
    assert len(ids) == 1
    assert confirmations(catalog) == 3
    ask(catalog, confirmed=False, now=at(70))
    assert confirmations(catalog) == 4


def test_pressing_the_button_twice_sends_one_mail(catalog: sa.Engine) -> None:
    for minute in (0.1, 0.11, 0.9):
        ask(catalog, confirmed=False, now=at(minute))
    assert confirmations(catalog) == 1


def test_an_operator_confirms_what_a_stranger_asked_for(catalog: sa.Engine) -> None:
    pending = ask(catalog, confirmed=False)
    assert ask(catalog, now=at(1)).status == "active"
    assert [row.id for row in list_subscriptions(catalog)] == [pending.id]


def test_ending_twice_is_no_error_and_an_ended_one_cannot_be_confirmed(catalog: sa.Engine) -> None:
    made = ask(catalog, confirmed=False)
    assert unsubscribe(catalog, made.id).status == "unsubscribed"
    assert unsubscribe(catalog, made.id).status == "unsubscribed"
    with pytest.raises(NotFound, match="unsubscribed"):
        confirm(catalog, made.id, at(1))
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
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": -5.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": float("inf")}, "threshold"),
        ({"direction": "sideways"}, "direction"),
        ({"cooldown_seconds": -1}, "cooldown_seconds"),
    ],
)
def test_what_cannot_work_is_refused_by_the_field_it_is_in(
    catalog: sa.Engine, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask(catalog, **changes)
    assert caught.value.field == field
    assert list_subscriptions(catalog) == []


@given(st.text(max_size=40) | st.emails())
def test_an_accepted_address_cannot_break_out_of_a_header(text: str) -> None:
    try:
        address = check_address(text)
    except InvalidRequest:
        return
    assert address.isascii()
    assert address.isprintable()
    assert address.count("@") == 1
    assert not set(address) & set(' ,;:<>()[]"\\')


def mails(engine: sa.Engine) -> list[tuple[str, str | None]]:
    with transaction(engine) as connection:
        rows = connection.execute(sa.text("SELECT kind, payload ->> 'reason' AS reason FROM outbox ORDER BY id"))
        return [(row.kind, row.reason) for row in rows]


def test_a_stranger_who_asks_for_what_there_is_has_the_person_told_and_few_times(catalog: sa.Engine) -> None:
    made = ask(catalog)
    for minute in range(5):
        with pytest.raises(AlreadyExists):
            ask(catalog, confirmed=False, email="ADA@example.org", now=at(minute))
    assert mails(catalog) == [("manage", "already")] * 3
    ask(catalog, confirmed=False, threshold=6.0, now=at(6))
    assert mails(catalog) == [("manage", "already")] * 3, "confirmations share the limit"
    with transaction(catalog) as connection:
        payload = connection.execute(sa.text("SELECT payload FROM outbox LIMIT 1")).scalar_one()
    assert payload == {"reason": "already", "condition": made.condition, "pair": "BTC/USD"}


def test_an_operator_who_asks_for_what_there_is_mails_nobody(catalog: sa.Engine) -> None:
    ask(catalog)
    with pytest.raises(AlreadyExists):
        ask(catalog)
    assert mails(catalog) == []


def disabled(engine: sa.Engine) -> bool:
    with transaction(engine) as connection:
        return bool(connection.execute(sa.text("SELECT suppressed_at IS NOT NULL FROM users")).scalar_one())


def test_an_address_that_refused_mail_is_asked_all_the_same_and_wakes_by_its_consent(catalog: sa.Engine) -> None:
    ask(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = '550'"), {"now": at(1)})
    made = ask(catalog, confirmed=False, threshold=6.0, now=at(2))
    assert mails(catalog) == [("confirmation", None)]
    assert disabled(catalog), "a stranger's word wakes no address"
    confirm(catalog, made.id, at(3))
    assert not disabled(catalog)


def test_an_operators_word_wakes_an_address_that_refused_mail(catalog: sa.Engine) -> None:
    ask(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = '550'"), {"now": at(1)})
    ask(catalog, threshold=6.0)
    assert not disabled(catalog)


def test_nobody_is_given_more_than_a_hundred_but_by_an_operator(catalog: sa.Engine) -> None:
    for number in range(MAX_SUBSCRIPTIONS):
        ask(catalog, threshold=1.0 + number, confirmed=number % 2 == 0)
    with pytest.raises(TooManySubscriptions, match="has 100 alerts"):
        ask(catalog, threshold=500.0, confirmed=False)
    assert len(list_subscriptions(catalog)) == MAX_SUBSCRIPTIONS
    assert ask(catalog, threshold=1.0 + 1, confirmed=False, now=at(1)).status == "pending", "asking again is no new one"
    ask(catalog, threshold=501.0)
    later = at(4 * 24 * 60)
    assert ask(catalog, threshold=500.0, confirmed=False, now=later).status == "pending", "half were never confirmed"
