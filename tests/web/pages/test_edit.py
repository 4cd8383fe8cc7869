"""The form that changes an alert has the fields, the preview and the errors of the form for a new one."""

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscriptions import Subscription, list_subscriptions
from coinwatch.web.services.alert_form.page import form_of
from tests.web.seed import NOW
from tests.web.subscribing import ADA, BOB, add_alerts, add_subscription, field_error, press, queued_emails, sign_in

pytestmark = pytest.mark.usefixtures("market")
NAMES = re.compile(r'<(?:input|select)[^>]* name="(\w+)"')


@pytest.fixture
def subscription(client: TestClient, engine: sa.Engine, market: None) -> Subscription:
    """Ada's subscription; she is signed in."""
    added = add_subscription(engine, kind="change_over_window", window_seconds=3600)
    sign_in(client, engine)
    return added


def path(subscription: Subscription) -> str:
    return f"/account/alerts/{subscription.id}"


def changed(subscription: Subscription, **fields: str) -> dict[str, str]:
    return form_of(subscription) | fields


def test_form_has_the_fields_of_the_form_for_a_new_alert(client: TestClient, subscription: Subscription) -> None:
    page = client.get(path(subscription)).text
    assert set(NAMES.findall(page)) == set(NAMES.findall(client.get("/subscribe").text)) - {"email", "timezone"}
    assert f'formaction="{path(subscription)}/preview#preview"' in page
    assert "BTC is 43,215.12 USD now" in page


def test_every_field_can_be_changed(client: TestClient, engine: sa.Engine, subscription: Subscription) -> None:
    fields = {
        "coin": "ETH",
        "exchange": "kraken",
        "kind": "crosses",
        "level": "2.500,5",
        "direction": "down",
        "cooldown_seconds": "86400",
        "repeat": "once",
        "expires_on": "2026-12-31",
    }
    page = press(client, path(subscription), **changed(subscription, **fields))
    assert "Alert changed" in page
    assert "the price falls to 2,500.50 USD" in page
    [found] = list_subscriptions(engine)
    assert (found.id, found.exchange, found.base, found.kind, found.threshold) == (
        subscription.id,
        "kraken",
        "ETH",
        "crosses",
        2500.5,
    )
    assert (found.direction, found.cooldown_seconds, found.repeat, found.status) == ("down", 86_400, False, "active")


def test_alert_that_has_fired_keeps_its_history_when_the_coin_is_changed(
    client: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    add_alerts(engine, subscription, 1)
    response = client.post(path(subscription), data=changed(subscription, coin="ETH"))
    [old, new] = list_subscriptions(engine)
    assert response.headers["location"].endswith(f"#alert-{new.id}")
    assert (old.base, old.status, old.alerts) == ("BTC", "unsubscribed", 1)
    assert (new.base, new.status, new.alerts) == ("ETH", "active", 0)


def test_all_invalid_fields_are_reported_and_nothing_changes(
    client: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    wrong = {
        "coin": "NOPE",
        "quote": "",
        "threshold_percent": "a lot",
        "cooldown_seconds": "99999999",
        "expires_on": "2020-01-31",
    }
    response = client.post(path(subscription), data=changed(subscription, **wrong))
    assert response.status_code == 422
    for field in set(wrong) - {"quote"}:
        assert field_error(response.text, field)
    assert 'value="a lot"' in response.text
    assert list_subscriptions(engine) == [subscription]


def test_change_to_an_existing_alert_is_rejected(
    client: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    other = add_subscription(engine, kind="change_over_window", window_seconds=3600, threshold=7.0)
    response = client.post(path(subscription), data=changed(subscription, threshold_percent="7"))
    assert response.status_code == 409
    assert re.search(rf'<p class="error" role="alert">[^<]*\b{other.id}\b', response.text)
    assert list_subscriptions(engine)[0] == subscription


def test_exact_expiry_is_kept_if_its_day_is_unchanged(client: TestClient, engine: sa.Engine) -> None:
    expires_at = NOW + timedelta(days=3)
    subscription = add_subscription(engine, expires_at=expires_at)
    sign_in(client, engine)
    press(client, path(subscription), **changed(subscription, threshold_percent="6"))
    assert list_subscriptions(engine)[0].expires_at == expires_at
    press(client, path(subscription), **changed(subscription, threshold_percent="6", expires_on=""))
    assert list_subscriptions(engine)[0].expires_at is None


def test_preview_shows_the_changed_alert_and_changes_nothing(
    client: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    form = changed(subscription, kind="crosses", level="45000", direction="up")
    page = client.post(f"{path(subscription)}/preview", data=form)
    assert page.status_code == 200
    assert "below your level" in page.text
    assert "would" in page.text
    assert f'action="{path(subscription)}"' in page.text
    assert list_subscriptions(engine) == [subscription]
    assert client.get(f"{path(subscription)}/preview").headers["location"] == path(subscription)


def test_duplicate_opens_the_form_for_a_new_alert_with_the_same_values(
    client: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    page = client.get(f"{path(subscription)}/duplicate").text
    assert 'action="/subscribe"' in page
    assert "Signed in as" in page
    assert re.search(rf'<input id="email"[^>]*readonly[^>]*value="{ADA}"', page, re.DOTALL)
    same = client.post("/subscribe", data=form_of(subscription))
    assert same.status_code == 409, "an equal alert exists"
    created = client.post("/subscribe", data=changed(subscription, threshold_percent="7"))
    assert created.status_code == 201
    assert [found.status for found in list_subscriptions(engine)] == ["active", "active"]
    assert queued_emails(engine) == []


def test_expiry_in_the_past_is_not_duplicated(client: TestClient, engine: sa.Engine) -> None:
    subscription = add_subscription(engine, now=NOW - timedelta(days=9), expires_at=NOW - timedelta(days=3))
    sign_in(client, engine)
    assert 'name="expires_on" type="date" value=""' in client.get(f"{path(subscription)}/duplicate").text


@pytest.mark.parametrize("action", ["", "/preview", "/duplicate"])
def test_alerts_of_others_are_not_found(client: TestClient, engine: sa.Engine, action: str) -> None:
    others = add_subscription(engine, BOB)
    add_subscription(engine)
    sign_in(client, engine)
    method: Any = client.post if action == "/preview" else client.get
    assert method(f"{path(others)}{action}").status_code == 404
