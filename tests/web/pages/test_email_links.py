"""The pages behind the links in emails: confirming and unsubscribing."""

import re
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from itsdangerous import URLSafeTimedSerializer

from coinwatch.alerts.subscriptions import (
    MAX_SUBSCRIPTIONS,
    Subscription,
    get_subscription,
    list_subscriptions,
    unsubscribe,
)
from coinwatch.mail.links import confirmation_link, unsubscribe_link
from coinwatch.settings import Settings
from tests.conftest import Database
from tests.web.subscribing import ADA, BOB, add_subscription, forged, link_key, manage_path, path_of, press, sign_in

pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture(autouse=True)
def as_a_browser(client: TestClient) -> None:
    client.headers["Origin"] = "http://coinwatch.test"


@pytest.fixture
def pending(engine: sa.Engine) -> Subscription:
    return add_subscription(engine, confirmed=False)


@pytest.fixture
def active(engine: sa.Engine) -> Subscription:
    return add_subscription(engine)


def test_confirming_requires_the_button(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    path = path_of(confirmation_link(settings, link_key(engine, pending), pending.id))
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


@pytest.mark.parametrize("punctuation", [".", ",", ">", ")", ".)", "%22", "'", "/"])
def test_punctuation_after_a_link_is_ignored(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription, punctuation: str
) -> None:
    path = path_of(confirmation_link(settings, link_key(engine, pending), pending.id)) + punctuation
    assert "BTC/USD" in client.get(path).text
    assert client.post(path).status_code == 200
    assert list_subscriptions(engine)[0].status == "active"


def test_only_ticked_alerts_are_confirmed(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    path = path_of(confirmation_link(settings, link_key(engine, pending), pending.id))
    strange = add_subscription(engine, threshold=9.0, confirmed=False)
    page = client.get(path).text
    assert ("Confirm your alerts" in page, "9% or more" in page) == (True, True), "later additions are listed, too"
    nothing = client.post(path, data={"chosen": "true"})
    assert (nothing.status_code, "at least one" in nothing.text) == (422, True)
    later = add_subscription(engine, threshold=10.0, confirmed=False)
    chosen = {"chosen": "true", "alert": [str(pending.id)]}
    assert "Alert confirmed" in client.post(path, data=chosen).text
    assert {found.id: found.status for found in list_subscriptions(engine)} == {
        pending.id: "active",
        strange.id: "pending",
        later.id: "pending",
    }
    other = add_subscription(engine, BOB, confirmed=False)
    client.post(path, data={"chosen": "true", "alert": [str(other.id)]})
    assert get_subscription(engine, other.id).status == "pending", "another person's alert"


def test_confirming_more_than_the_maximum_is_explained(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    for number in range(MAX_SUBSCRIPTIONS):
        add_subscription(engine, threshold=10.0 + number)
    page = client.post(path_of(confirmation_link(settings, link_key(engine, pending), pending.id)))
    assert (page.status_code, "up to 100 alerts" in page.text) == (422, True)


def test_unsubscribing_requires_the_button(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    path = path_of(unsubscribe_link(settings, link_key(engine, pending), [pending.id]))
    assert "End this alert?" in client.get(path).text
    assert list_subscriptions(engine)[0].status == "pending"
    for _ in range(2):
        assert "Alert ended" in client.post(path).text
    assert list_subscriptions(engine)[0].status == "unsubscribed"


def test_one_click_unsubscribe_ends_all_alerts_of_the_email(
    client: TestClient, engine: sa.Engine, settings: Settings, pending: Subscription
) -> None:
    other = add_subscription(engine, coin="ETH")
    path = path_of(unsubscribe_link(settings, link_key(engine, pending), [pending.id, other.id]))
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
        "/confirm/": confirmation_link(settings, link_key(engine, pending), pending.id).rpartition("/")[2],
        "/unsubscribe/": unsubscribe_link(settings, link_key(engine, pending), [pending.id]).rpartition("/")[2],
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
    sign_in(client, engine)
    other = add_subscription(engine, threshold=8.0)
    path = path_of(unsubscribe_link(settings, link_key(engine, active), [active.id, other.id]))
    press(client, f"/account/alerts/{active.id}/delete")
    assert "End this alert?" in client.get(path).text
    manage = manage_path(engine, settings)
    assert manage.rpartition(".")[0].rpartition(".")[0] in client.get(path).text, "a link to the account page"
    assert "Alert ended" in client.post(path).text
    assert "Alert ended" in client.get(path).text
    assert list_subscriptions(engine)[0].status == "unsubscribed"
    press(client, f"/account/alerts/{other.id}/delete")
    deleted = client.post(path)
    assert deleted.status_code == 200
    assert "deleted earlier" in deleted.text


def test_old_unsubscribe_link_does_not_lead_to_the_account(
    client: TestClient, engine: sa.Engine, settings: Settings, active: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(unsubscribe_link(settings, link_key(engine, active), [active.id]))
    assert "/manage/" in client.get(path).text
    monkeypatch.setattr("coinwatch.mail.links.MANAGE_SECONDS", -1)
    assert "/manage/" not in client.get(path).text
    assert 'href="/sign-in"' in client.post(path).text


def test_links_of_another_database_open_nobodys_page(
    client: TestClient, engine: sa.Engine, settings: Settings, active: Subscription, database: Database
) -> None:
    """After a reset, row ids start again; the secret key stays."""
    key = link_key(engine, active)
    manage, confirmation = manage_path(engine, settings), path_of(confirmation_link(settings, key, active.id))
    ended = path_of(unsubscribe_link(settings, key, [active.id]))
    with psycopg.connect(database.url("owner")) as connection:
        connection.execute("TRUNCATE users RESTART IDENTITY CASCADE")
    other = add_subscription(engine, "eve@example.org")
    assert (other.id, other.user_id) == (active.id, active.user_id)
    for path in (manage, confirmation):
        for method in ("GET", "POST"):
            assert client.request(method, path).status_code == 404
    assert "deleted earlier" in client.post(ended).text
    assert list_subscriptions(engine) == [other]


def test_signing_out_everywhere_revokes_links_except_for_unsubscribing(
    client: TestClient, engine: sa.Engine, settings: Settings, active: Subscription
) -> None:
    key = link_key(engine, active)
    manage, confirmation = manage_path(engine, settings), path_of(confirmation_link(settings, key, active.id))
    ended = path_of(unsubscribe_link(settings, key, [active.id]))
    sign_in(client, engine)
    assert "signed out everywhere" in client.post("/account/sign-out").text
    assert client.get("/account").status_code == 401
    for path in (manage, confirmation):
        page = client.get(path, headers={"Accept": "text/html"})
        assert (page.status_code, "was revoked" in page.text) == (422, True)
    page = client.get(ended).text
    assert ("End this alert?" in page, 'href="/sign-in"' in page, "/manage/" in page) == (True, True, False)
    assert client.get(manage_path(engine, settings)).status_code == 200, "the next email has a new link"
    client.post(ended)
    assert list_subscriptions(engine)[0].status == "unsubscribed"


def old_link(settings: Settings, purpose: str, row_id: int) -> str:
    """A link as it was before links had a key."""
    serializer = URLSafeTimedSerializer(settings.require("secret_key"), salt=f"coinwatch.{purpose}")
    return f"/{purpose}/{serializer.dumps([row_id])}"


def test_old_links_can_only_end_alerts_that_existed_when_they_were_signed(
    client: TestClient, engine: sa.Engine, settings: Settings, active: Subscription
) -> None:
    later = add_subscription(engine, threshold=9.0, now=datetime.now(UTC) + timedelta(hours=1))
    for subscription in (active, later):
        assert "/manage/" not in client.post(old_link(settings, "unsubscribe", subscription.id)).text
    assert [found.status for found in list_subscriptions(engine)] == ["unsubscribed", "active"]
    for link in (old_link(settings, "manage", active.user_id), old_link(settings, "confirm", active.id)):
        page = client.get(link, headers={"Accept": "text/html"})
        assert (page.status_code, "earlier version" in page.text) == (422, True)


def test_page_of_an_email_link_does_not_extend_access(
    client: TestClient, engine: sa.Engine, settings: Settings, active: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("coinwatch.mail.links.time.time", lambda: now - 89 * 24 * 3600)
    path = path_of(unsubscribe_link(settings, link_key(engine, active), [active.id]))
    monkeypatch.undo()
    [manage] = set(re.findall(r'href="(/manage/[^"]+)"', client.get(path).text))
    assert client.get(manage).status_code == 200
    monkeypatch.setattr("coinwatch.mail.links.time.time", lambda: now + 2 * 24 * 3600)
    assert client.get(manage, headers={"Accept": "text/html"}).status_code == 422
