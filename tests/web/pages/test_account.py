"""The account page of a subscriber: what it shows, and what its buttons do."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.subscriptions import Subscription, list_subscriptions
from coinwatch.alerts.users import find_user_id
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.notifications.webhooks import get_webhook, set_webhook
from coinwatch.settings import Settings
from coinwatch.web.middleware.identification import identify_by_token
from coinwatch.web.sessions import COOKIE
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
        "3 times",
        "all exchanges",
    ):
        assert text in shown.text, text
    assert "33%" not in shown.text
    assert BOB not in shown.text
    for path in ("/history", "/history.csv", "/settings", "/erase", "/export", f"/alerts/{subscription.id}"):
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
    saved = press(client, f"{page}/settings", **settings)
    assert "Settings saved" in saved
    assert 'value="22:00"' in saved
    assert "Times are in Asia/Tokyo" in saved
    for field, value in (("timezone", "Tokyo"), ("quiet_until", ""), ("quiet_from", "25:00"), ("digest", "hourly")):
        response = client.post(f"{page}/settings", data=settings | {field: value})
        assert response.status_code == 422
        assert field_error(response.text, field)
        if field != "quiet_from":
            assert 'value="22:00"' in response.text, "the form keeps its values"
    assert 'value="Asia/Tokyo"' in client.get(f"{page}/settings").text


def test_times_are_in_the_subscribers_time_zone(
    client: TestClient, engine: sa.Engine, subscription: Subscription, page: str
) -> None:
    add_alerts(engine, subscription, 1)
    assert "2026-11-20 11:59 UTC" in client.get(page).text
    press(client, f"{page}/settings", timezone="Asia/Tokyo")
    assert "2026-11-20 20:59 JST" in client.get(page).text
    assert "2026-11-20 20:59:30 JST" in client.get(f"{page}/history").text, "history is to the second"
    assert "2026-11-20T11:59:30Z" in client.get(f"{page}/history.csv").text


def test_page_shows_when_held_alerts_will_be_sent(client: TestClient, engine: sa.Engine, page: str) -> None:
    hold = (
        "INSERT INTO held_users SELECT id, 'quiet_hours', :now, CAST(:now AS timestamptz) + interval '8 h' FROM users"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(hold), {"now": NOW})
    assert "in one email after <time" in client.get(page).text
    press(client, f"{page}/settings", digest="daily")
    assert "in one email within a few minutes" in client.get(page).text
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


def test_alerts_are_sorted_by_every_column_and_filtered(client: TestClient, engine: sa.Engine, page: str) -> None:
    far = add_subscription(engine, coin="ETH", kind="crosses", threshold=4000.0, direction="up")
    near = add_subscription(engine, coin="SOL", kind="crosses", threshold=98.0, direction="down")
    add_subscription(engine, coin="DOGE", kind="change_over_window", window_seconds=86400)
    changes.pause(engine, far.user_id, far.id)
    add_alerts(engine, near, 2)

    def order(query: str) -> list[str]:
        return re.findall(r'class="coin" href="[^"]*">(\w+)<', client.get(f"{page}?{query}").text)

    assert order("") == ["Bitcoin", "Ethereum", "Solana", "Dogecoin"], "oldest first"
    assert order("sort=alert") == ["Bitcoin", "Dogecoin", "Ethereum", "Solana"]
    assert order("sort=alert&order=desc") == ["Solana", "Ethereum", "Dogecoin", "Bitcoin"]
    assert order("sort=distance") == ["Solana", "Bitcoin", "Ethereum", "Dogecoin"], "DOGE has only 3 hours of prices"
    assert order("sort=distance&order=desc") == ["Ethereum", "Bitcoin", "Solana", "Dogecoin"], "unknown stays last"
    assert order("sort=fired&order=desc")[0] == "Solana"
    assert order("sort=now") == ["Dogecoin", "Solana", "Ethereum", "Bitcoin"]
    assert order("sort=status") == ["Bitcoin", "Solana", "Dogecoin", "Ethereum"]
    assert order("coin=ETH") == ["Ethereum"]
    assert order("state=paused") == ["Ethereum"]
    assert order("state=snoozed") == []
    assert order("sort=nonsense&order=up&state=x&utm_source=email") == order(""), "links from emails never fail"


def test_headings_sort_and_show_the_order(client: TestClient, engine: sa.Engine, page: str) -> None:
    shown = client.get(f"{page}?sort=distance&coin=BTC").text
    assert re.search(r'aria-sort="ascending">\s*<a href="/account\?sort=distance&amp;order=desc&amp;coin=BTC">', shown)
    assert 'href="/account?sort=fired&amp;order=desc&amp;coin=BTC"' in shown, "the newest first"


def test_distance_to_the_level_is_shown(client: TestClient, engine: sa.Engine, page: str) -> None:
    add_subscription(engine, kind="crosses", threshold=50_000.0, direction="up")
    add_subscription(engine, kind="crosses", threshold=40_000.0, direction="up")
    add_subscription(engine, coin="DOGE", kind="change_over_window", window_seconds=86400)
    rows = client.get(page).text.split('<tr id="alert-')[2:]
    value = float(re.findall(r'<data class="price" value="([\d.]+)"', rows[0])[0])
    [distance] = re.findall(r'<data class="change" value="([\d.-]+)"', rows[0])
    assert float(distance) == pytest.approx(100 * (50_000 / value - 1))
    assert "50,000" in rows[0]
    assert "already true" in rows[1]
    assert "Needs 1 day of history" in rows[2]


@pytest.mark.parametrize(("factor", "shown"), [(1.02, "next step at"), (0.98, "next step reached")])
def test_distance_to_the_next_step_of_a_ladder_is_shown(
    client: TestClient, engine: sa.Engine, page: str, factor: float, shown: str
) -> None:
    own = add_subscription(engine, kind="crosses", threshold=1.0, direction="up", ladder_percent=5.0)
    with engine.begin() as connection:
        query = """
            UPDATE subscriptions s SET step_value = q.price * :factor / 1.05, step_rises = true
            FROM latest_quotes q WHERE q.instrument_id = s.instrument_id AND s.id = :id"""
        connection.execute(sa.text(query), {"factor": factor, "id": own.id})
    row = client.get(page).text.split(f'<tr id="alert-{own.id}"')[1].split("</tr>")[0]
    [distance] = re.findall(r'<data class="change" value="([\d.-]+)"', row)
    assert float(distance) == pytest.approx(max(0, 100 * (factor - 1)))
    assert shown in row


def test_message_is_inside_the_alert_that_was_changed(
    client: TestClient, engine: sa.Engine, subscription: Subscription, page: str
) -> None:
    add_subscription(engine, coin="ETH")
    location = client.post(f"{page}/alerts/{subscription.id}/pause?sort=alert").headers["location"]
    assert location == f"/account?sort=alert&done=paused&alert={subscription.id}#alert-{subscription.id}"
    first, *others = client.get(location).text.split('<tr id="alert-')[1:]
    assert ("Alert paused" in first, any("Alert paused" in other for other in others)) == (True, False)
    failed = client.post(f"{page}/alerts/{subscription.id}/snooze", data={"hours": "1"}).text
    assert 'role="alert"' in failed.split('<tr id="alert-')[1]


def test_all_alerts_are_paused_and_resumed(client: TestClient, engine: sa.Engine, page: str) -> None:
    pending = add_subscription(engine, coin="ETH", confirmed=False)
    add_subscription(engine, coin="SOL")
    assert "All your alerts are paused" in press(client, f"{page}/pause")
    states = {found.id: found.status for found in list_subscriptions(engine)}
    assert states.pop(pending.id) == "pending"
    assert set(states.values()) == {"paused"}
    assert "active again" in press(client, f"{page}/resume")
    assert {found.status for found in list_subscriptions(engine)} == {"pending", "active"}


def test_hundred_alerts_are_listed_with_a_constant_number_of_queries(
    client: TestClient, engine: sa.Engine, page: str
) -> None:
    def queries() -> int:
        counted = []
        sa.event.listen(engine, "before_cursor_execute", listener := lambda *_: counted.append(1))
        assert client.get(page).status_code == 200
        sa.event.remove(engine, "before_cursor_execute", listener)
        return len(counted)

    few = queries()
    for number in range(99):
        add_subscription(engine, coin=("BTC", "ETH", "SOL")[number % 3], threshold=10.0 + number)
    assert client.get(page).text.count('<tr id="alert-') == 100
    assert queries() <= few


def test_alerts_since_the_last_visit_are_shown(
    engine: sa.Engine, make_app: Callable[..., FastAPI], settings: Settings, subscription: Subscription
) -> None:
    def visit(minutes: float) -> str:
        app = make_app(identify_by_token(lambda: settings), clock=lambda: NOW + timedelta(minutes=minutes))
        browser = TestClient(app, base_url="http://coinwatch.test", follow_redirects=False)
        sign_in(browser, engine, now=NOW + timedelta(minutes=minutes))
        return browser.get("/account").text

    assert "Since your last visit" not in visit(-60), "the first visit"
    assert "Since your last visit" not in visit(-40), "still the first visit"
    add_alerts(engine, subscription, 7)
    shown = visit(1)
    assert "7 alerts fired since" in shown
    assert shown.count('class="alert"') >= 5
    assert "7 alerts fired since" in visit(20), "still the same visit"
    assert "No alert has fired since" in visit(60)


def test_history_is_filtered_by_coin_and_alert(
    client: TestClient, engine: sa.Engine, subscription: Subscription, page: str
) -> None:
    other = add_subscription(engine, coin="ETH")
    add_subscription(engine, BOB, coin="ETH")
    add_alerts(engine, subscription, 3)
    add_alerts(engine, other, 2)
    for query, number in (("", 5), ("coin=BTC", 3), (f"alert={other.id}", 2), ("coin=XRP", 0), ("alert=x", 5)):
        shown = client.get(f"{page}/history?{query}").text
        assert shown.count('<td class="alert">') == number, query
        csv = client.get(f"{page}/history.csv?{query}")
        assert len(csv.text.splitlines()) == number + 1, query
    assert csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert csv.headers["content-disposition"] == 'attachment; filename="coinwatch-alerts.csv"'
    assert client.get(f"{page}/history?alert={10**19}").status_code == 200


def test_export_has_sessions_and_webhook_without_secrets(
    client: TestClient, engine: sa.Engine, settings: Settings, subscription: Subscription, page: str
) -> None:
    set_webhook(engine, settings, subscription.user_id, "https://hooks.example.org/token-in-path", NOW)
    webhook = get_webhook(engine, subscription.user_id, NOW)
    assert webhook
    data = client.get(f"{page}/export")
    assert data.json()["webhook"]["host"] == "https://hooks.example.org"
    assert [session["started_at"] for session in data.json()["sessions"]] == ["2026-11-20T12:00:30Z"]
    for secret in (*webhook.secrets, "token-in-path", client.cookies[COOKIE]):
        assert secret not in data.text
    client.post(f"{page}/erase")
    with engine.connect() as connection:
        for table in ("webhooks", "sessions", "account_visits"):
            assert connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table
