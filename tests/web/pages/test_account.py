"""The account page of a subscriber: what it shows, and what its buttons do."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscriptions import Subscription, list_subscriptions
from coinwatch.alerts.users import find_user_id
from coinwatch.notifications.subscribers import get_subscriber
from tests.web.seed import NOW
from tests.web.subscribing import (
    ADA,
    BOB,
    add_alerts,
    add_subscription,
    field_error,
    press,
    queued_emails,
    sign_in,
)

pytestmark = pytest.mark.usefixtures("market")
HTML = {"Accept": "text/html"}


@pytest.fixture
def subscription(engine: sa.Engine, market: None) -> Subscription:
    return add_subscription(engine)


@pytest.fixture
def page(client: TestClient, engine: sa.Engine, subscription: Subscription) -> str:
    """Path of Ada's account page; the client is signed in."""
    sign_in(client, engine)
    return "/account"


def test_page_shows_all_data_without_changing_any(
    client: TestClient, engine: sa.Engine, subscription: Subscription, page: str
) -> None:
    add_subscription(engine, kind="crosses", threshold=2500.0, direction="up", repeat=False, confirmed=False)
    add_subscription(engine, BOB, threshold=33.0)
    add_alerts(engine, subscription, 3)
    before = get_subscriber(engine, subscription.user_id)
    shown = client.get(page)
    assert shown.status_code == 200
    for text in (
        ADA,
        "5% or more",
        "2,500",
        "Active",
        "Awaiting confirmation",
        "Fired 3 times",
        "+1.00%",
        "all exchanges",
    ):
        assert text in shown.text, text
    assert "33%" not in shown.text
    assert BOB not in shown.text
    for path in ("/history", "/erase", "/export", f"/alerts/{subscription.id}"):
        assert client.get(page + path).status_code == 200
    assert get_subscriber(engine, subscription.user_id) == before
    assert queued_emails(engine) == [f"confirmation to {ADA}"]


def test_alert_buttons_change_its_state(
    client: TestClient, engine: sa.Engine, subscription: Subscription, page: str
) -> None:
    alert = f"{page}/alerts/{subscription.id}"
    assert "Alert paused" in press(client, f"{alert}/pause")
    assert list_subscriptions(engine)[0].status == "paused"
    assert "Alert resumed" in press(client, f"{alert}/resume")
    assert "Snoozed until" in press(client, f"{alert}/snooze", hours=8)
    assert list_subscriptions(engine)[0].snoozed_until == NOW + timedelta(hours=8)
    assert "Alert unsnoozed" in press(client, f"{alert}/unsnooze")
    assert list_subscriptions(engine)[0].snoozed_until is None
    assert "No alerts yet" in press(client, f"{alert}/delete")
    assert list_subscriptions(engine) == []
    deleted = client.post(f"{alert}/pause", headers=HTML)
    assert deleted.status_code == 404
    assert 'role="alert"' in deleted.text
    assert "No alerts yet" in deleted.text, "the error is shown on the account page"


def test_pending_alert_is_confirmed_only_by_the_button(client: TestClient, engine: sa.Engine) -> None:
    pending = add_subscription(engine, confirmed=False)
    sign_in(client, engine)
    page = "/account"
    client.get(page)
    assert list_subscriptions(engine)[0].status == "pending"
    assert "Alert confirmed" in press(client, f"{page}/alerts/{pending.id}/confirm")
    assert list_subscriptions(engine)[0].status == "active"


def test_settings_are_saved_or_rejected_with_field_errors(client: TestClient, page: str) -> None:
    settings = {"timezone": "Asia/Tokyo", "quiet_from": "22:00", "quiet_until": "07:30", "digest": "weekly"}
    saved = press(client, f"{page}/preferences", **settings)
    assert "Settings saved" in saved
    assert 'value="22:00"' in saved
    assert "Times are in Asia/Tokyo" in saved
    for field, value in (("timezone", "Tokyo"), ("quiet_until", ""), ("quiet_from", "25:00"), ("digest", "hourly")):
        response = client.post(f"{page}/preferences", data=settings | {field: value})
        assert response.status_code == 422
        assert field_error(response.text, field)
        if field != "quiet_from":
            assert 'value="22:00"' in response.text, "the form keeps its values"
    assert 'value="Asia/Tokyo"' in client.get(page).text


def test_times_are_in_the_subscribers_time_zone(
    client: TestClient, engine: sa.Engine, subscription: Subscription, page: str
) -> None:
    add_alerts(engine, subscription, 1)
    assert "2026-11-20 11:59 UTC" in client.get(page).text
    assert "2026-11-20 20:59 JST" in press(client, f"{page}/preferences", timezone="Asia/Tokyo")
    assert "2026-11-20 20:59 JST" in client.get(f"{page}/history").text


def test_page_shows_when_held_alerts_will_be_sent(client: TestClient, engine: sa.Engine, page: str) -> None:
    hold = (
        "INSERT INTO held_users SELECT id, 'quiet_hours', :now, CAST(:now AS timestamptz) + interval '8 h' FROM users"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(hold), {"now": NOW})
    assert "in one email after <time" in client.get(page).text
    assert "in one email within a few minutes" in press(client, f"{page}/preferences", digest="daily")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE held_users SET recheck_at = 'infinity'"))
    assert "in one email with your next alert" in client.get(page).text


def test_alert_history_is_paginated(
    client: TestClient, engine: sa.Engine, subscription: Subscription, page: str
) -> None:
    add_alerts(engine, subscription, 70)
    newest = client.get(f"{page}/history").text
    assert (newest.count("<tr>"), "+1.00%" in newest) == (51, True)
    [older] = re.findall(r'href="([^"]+before=\d+)"', newest)
    rest = client.get(older).text
    assert (rest.count("<tr>"), "+70.00%" in rest, "Older</a>" in rest) == (21, True, False)


def test_suppression_is_explained_and_can_be_lifted(client: TestClient, engine: sa.Engine, page: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = '550 no <such> user'"), {"now": NOW}
        )
        connection.execute(sa.text("UPDATE subscriptions SET status = 'paused'"))
    shown = client.get(page).text
    assert "stopped sending" in shown
    assert "550 no &lt;such&gt; user" in shown
    add_subscription(engine, threshold=8.0)
    assert "stopped sending" not in press(client, f"{page}/address")
    press(client, f"{page}/resume")
    assert {found.status for found in list_subscriptions(engine)} == {"active"}


def test_alert_without_recent_prices_has_a_warning(client: TestClient, engine: sa.Engine, page: str) -> None:
    warning = "this alert can't fire"
    assert warning not in client.get(page).text
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE latest_quotes SET observed_at = observed_at - interval '25 hours'"))
    assert client.get(page).text.count(warning) == 1
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE subscriptions SET status = 'paused'"))
    assert warning not in client.get(page).text


def test_data_can_be_downloaded_and_erased(
    client: TestClient, engine: sa.Engine, subscription: Subscription, page: str
) -> None:
    add_subscription(engine, BOB)
    data = client.get(f"{page}/export")
    assert data.headers["content-disposition"] == 'attachment; filename="coinwatch.json"'
    assert data.headers["cache-control"] == "no-store"
    assert ADA in data.text
    assert len(data.json()["subscriptions"]) == 1
    assert "All your alerts have ended" in press(client, f"{page}/unsubscribe")
    assert [found.status for found in list_subscriptions(engine, ADA)] == ["unsubscribed"]
    assert "can't be undone" in client.get(f"{page}/erase").text
    assert find_user_id(engine, ADA) == subscription.user_id
    assert "has been erased" in client.post(f"{page}/erase").text
    assert (find_user_id(engine, ADA), len(list_subscriptions(engine))) == (None, 1)
    for method in ("GET", "POST"):
        again = client.request(method, f"{page}/erase", headers=HTML)
        assert again.headers["location"].startswith("/sign-in"), "the session has ended, too"
