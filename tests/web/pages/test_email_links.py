"""The pages behind the links in emails: confirming and unsubscribing."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscriptions import Subscription, list_subscriptions, unsubscribe
from coinwatch.mail.links import confirmation_link, unsubscribe_link
from coinwatch.settings import Settings
from tests.web.subscribing import ADA, add_subscription, forged, manage_path, path_of, press

pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture
def pending(engine: sa.Engine) -> Subscription:
    return add_subscription(engine, confirmed=False)


@pytest.fixture
def active(engine: sa.Engine) -> Subscription:
    return add_subscription(engine)


def test_confirming_requires_the_button(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    path = path_of(confirmation_link(settings, pending.id))
    page = client.get(path)
    assert page.status_code == 200
    assert "BTC/USD" in page.text
    assert ADA not in page.text
    assert list_subscriptions(engine)[0].status == "pending", "a scanner that follows links confirms nothing"
    for _ in range(2):
        assert "Alert confirmed" in client.post(path).text
    assert "Alert confirmed" in client.get(path).text
    assert list_subscriptions(engine)[0].status == "active"
    unsubscribe(engine, pending.id)
    assert "Nothing to confirm" in client.get(path).text


def test_unsubscribing_requires_the_button(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    path = path_of(unsubscribe_link(settings, [pending.id]))
    assert "End this alert?" in client.get(path).text
    assert list_subscriptions(engine)[0].status == "pending"
    for _ in range(2):
        assert "Alert ended" in client.post(path).text
    assert list_subscriptions(engine)[0].status == "unsubscribed"


def test_one_click_unsubscribe_ends_all_alerts_of_the_email(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    other = add_subscription(engine, coin="ETH")
    path = path_of(unsubscribe_link(settings, [pending.id, other.id]))
    response = client.post(path, data={"List-Unsubscribe": "One-Click"}, headers={"Origin": "https://mail.example"})
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    assert {found.status for found in list_subscriptions(engine)} == {"unsubscribed"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/confirm/", "/unsubscribe/"])
def test_forged_or_incomplete_link_changes_nothing(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription, method: str, path: str
) -> None:
    tokens = {
        "/confirm/": confirmation_link(settings, pending.id).rpartition("/")[2],
        "/unsubscribe/": unsubscribe_link(settings, [pending.id]).rpartition("/")[2],
    }
    valid = tokens.pop(path)
    [other_kind] = tokens.values()
    for token in ("x", valid[:-1], forged(valid), other_kind):
        response = client.request(method, path + token, headers={"Accept": "text/html"})
        assert response.status_code == 422, token
        assert "link" in response.text
    assert list_subscriptions(engine)[0].status == "pending"


def test_unsubscribe_link_works_after_alerts_were_deleted(
    client: TestClient, engine: sa.Engine, settings: Settings, active: Subscription
) -> None:
    page = manage_path(engine, settings)
    other = add_subscription(engine, threshold=8.0)
    path = path_of(unsubscribe_link(settings, [active.id, other.id]))
    press(client, f"{page}/alerts/{active.id}/delete")
    assert "End this alert?" in client.get(path).text
    assert page.rpartition(".")[0].rpartition(".")[0] in client.get(path).text, "a link to the manage page"
    assert "Alert ended" in client.post(path).text
    assert "Alert ended" in client.get(path).text
    assert list_subscriptions(engine)[0].status == "unsubscribed"
    press(client, f"{page}/alerts/{other.id}/delete")
    deleted = client.post(path)
    assert deleted.status_code == 200
    assert "deleted earlier" in deleted.text


def test_old_unsubscribe_link_does_not_link_to_manage_page(
    client: TestClient, settings: Settings, active: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(unsubscribe_link(settings, [active.id]))
    assert "/manage/" in client.get(path).text
    monkeypatch.setattr("coinwatch.web.pages.email_links.MANAGE_SECONDS", -1)
    assert "/manage/" not in client.get(path).text
    assert 'href="/manage"' in client.post(path).text
