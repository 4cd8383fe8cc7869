"""Signing in with an emailed link: the session, its cookie, and what other sites and scanners can't do with it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from coinwatch.alerts import sessions
from coinwatch.alerts.subscriptions import Subscription, list_subscriptions
from coinwatch.mail import links
from coinwatch.mail.links import confirmation_link
from coinwatch.settings import Settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import identify_by_token
from coinwatch.web.sessions import COOKIE, is_own_path
from tests.web.seed import NOW, web_settings
from tests.web.subscribing import (
    ADA,
    BOB,
    add_subscription,
    field_error,
    forged,
    link_key,
    manage_path,
    path_of,
    queued_emails,
    sign_in,
)

pytestmark = pytest.mark.usefixtures("market")
HTML = {"Accept": "text/html"}
ORIGIN = {"Origin": "https://coinwatch.test"}
ALERT = {"coin": "ETH", "threshold_percent": "5"}


@pytest.fixture
def client(standalone: FastAPI) -> TestClient:
    """A client that reaches the app over https, like the public URL."""
    return TestClient(standalone, base_url="https://coinwatch.test", follow_redirects=False)


@pytest.fixture
def subscription(engine: sa.Engine, market: None) -> Subscription:
    return add_subscription(engine)


@pytest.fixture
def link(engine: sa.Engine, settings: Settings, subscription: Subscription) -> str:
    """Path of the link in Ada's emails."""
    return manage_path(engine, settings)


@pytest.fixture
def later(make_app: Callable[..., FastAPI], settings: Settings) -> Callable[[timedelta], TestClient]:
    """A client of the same app at a later time."""

    def browse(after: timedelta) -> TestClient:
        app = make_app(identify_by_token(lambda: settings), clock=lambda: NOW + after)
        return TestClient(app, base_url="https://coinwatch.test", headers=ORIGIN, follow_redirects=False)

    return browse


def count_sessions(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM sessions")).scalar_one())


def cookie_attributes(header: str) -> set[str]:
    return set(header.split("; ")[1:])


def test_link_signs_in_by_its_button_only(client: TestClient, engine: sa.Engine, link: str) -> None:
    for _ in range(3):
        page = client.get(link)
        assert ("Open my alerts" in page.text, ADA in page.text) == (True, True)
        assert "set-cookie" not in page.headers
    assert count_sessions(engine) == 0, "a scanner that follows links starts no session"
    opened = client.post(link)
    assert (opened.status_code, opened.headers["location"]) == (303, "/account"), "without the token"
    assert cookie_attributes(opened.headers["set-cookie"]) == {
        "HttpOnly",
        "Max-Age=31536000",
        "Path=/",
        "SameSite=lax",
        "Secure",
    }
    assert ADA in client.get("/account").text
    assert client.get(link).headers["location"] == "/account", "the button is not needed twice"
    assert client.get(f"{link}/history").headers["location"] == link, "a stored address from before there were sessions"


@pytest.mark.parametrize(
    ("public_url", "secure"), [("https://example.org/watch", True), ("http://127.0.0.1:18000/watch", False)]
)
def test_cookie_is_limited_to_the_path_and_to_https(engine: sa.Engine, public_url: str, secure: bool) -> None:
    add_subscription(engine)
    settings = web_settings(public_url=public_url)
    app = create_app(
        lambda: engine,
        lambda: settings,
        identify=identify_by_token(lambda: settings),
        inside_airflow=False,
        clock=lambda: NOW,
    )
    browser = TestClient(app, base_url="http://backend.test", follow_redirects=False)
    response = browser.post(manage_path(engine, settings))
    assert response.headers["location"] == "/watch/account"
    attributes = cookie_attributes(response.headers["set-cookie"])
    assert ("Path=/watch" in attributes, "Secure" in attributes) == (True, secure)


def test_token_is_random_and_only_its_hash_is_stored(client: TestClient, engine: sa.Engine, link: str) -> None:
    tokens = {client.post(link, headers=ORIGIN).cookies[COOKIE] for _ in range(3)}
    assert len(tokens) == 3
    assert min(map(len, tokens)) * 6 >= 256, "base64 has 6 bits per character"
    with engine.connect() as connection:
        stored = str(connection.execute(sa.text("SELECT * FROM sessions")).all())
    assert not any(token in stored for token in tokens)
    assert count_sessions(engine) == 1, "signing in again replaces the browser's session"


def test_given_session_token_is_not_adopted(client: TestClient, engine: sa.Engine, link: str) -> None:
    """Session fixation: an attacker who could set the cookie doesn't know the one of the session."""
    client.cookies.set(COOKIE, "chosen-by-an-attacker")
    client.post(link, headers=ORIGIN)
    attacker = TestClient(client.app, base_url="https://coinwatch.test", cookies={COOKIE: "chosen-by-an-attacker"})
    assert attacker.get("/account", headers={"Accept": "application/json"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "https://coinwatch.test:8080"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
def test_other_sites_change_nothing_with_the_cookie(
    client: TestClient, engine: sa.Engine, subscription: Subscription, link: str, headers: dict[str, str]
) -> None:
    sign_in(client, engine)
    del client.headers["Origin"]
    posts = ["/account/erase", "/account/sign-out", "/account/unsubscribe", "/account/settings", "/sign-out", link]
    posts += [f"/account/alerts/{subscription.id}/delete", "/subscribe"]
    for path in posts:
        assert client.post(path, headers=headers).status_code == 403, path
    assert list_subscriptions(engine) == [subscription]
    assert (client.get("/account").status_code, count_sessions(engine)) == (200, 1)


def test_signing_out_ends_the_session(client: TestClient, engine: sa.Engine, link: str) -> None:
    client.post(link)
    token = client.cookies[COOKIE]
    response = client.post("/sign-out", headers=ORIGIN)
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert COOKIE not in client.cookies
    client.cookies.set(COOKIE, token)
    assert client.get("/account").status_code == 401, "a copy of the cookie is worthless"
    assert client.get(link).status_code == 200, "links keep working"


def test_signing_out_everywhere_ends_all_sessions(client: TestClient, engine: sa.Engine, link: str) -> None:
    other = TestClient(client.app, base_url="https://coinwatch.test", headers=ORIGIN, follow_redirects=False)
    bob = TestClient(client.app, base_url="https://coinwatch.test", headers=ORIGIN, follow_redirects=False)
    add_subscription(engine, BOB)
    sign_in(client, engine)
    sign_in(other, engine)
    sign_in(bob, engine, BOB)
    assert "signed out everywhere" in client.post("/account/sign-out").text
    assert [browser.get("/account").status_code for browser in (client, other, bob)] == [401, 401, 200]


def test_session_expires_30_days_after_its_last_use(
    client: TestClient, engine: sa.Engine, later: Callable[[timedelta], TestClient], link: str
) -> None:
    token = client.post(link).cookies[COOKIE]
    for days, status in ((29, 200), (58, 200), (88.1, 401)):
        browser = later(timedelta(days=days))
        browser.cookies.set(COOKIE, token)
        assert browser.get("/account").status_code == status, days
    assert sessions.delete_expired_sessions(engine, NOW + timedelta(days=87)) == 0
    assert sessions.delete_expired_sessions(engine, NOW + timedelta(days=89)) == 1
    assert count_sessions(engine) == 0


def test_using_a_session_writes_at_most_once_an_hour(
    client: TestClient, engine: sa.Engine, later: Callable[[timedelta], TestClient], link: str
) -> None:
    token = client.post(link).cookies[COOKIE]

    def last_seen(after: timedelta) -> datetime:
        browser = later(after)
        browser.cookies.set(COOKIE, token)
        assert browser.get("/subscribe").status_code == 200
        browser.get("/account/export")
        with engine.connect() as connection:
            found: datetime = connection.execute(sa.text("SELECT last_seen_at FROM sessions")).scalar_one()
        return found

    assert last_seen(timedelta(minutes=59)) == NOW
    assert last_seen(timedelta(minutes=61)) == NOW + timedelta(minutes=61)
    assert last_seen(timedelta(minutes=119)) == NOW + timedelta(minutes=61)


def test_user_has_a_limited_number_of_sessions(engine: sa.Engine, subscription: Subscription) -> None:
    tokens = [
        sessions.start_session(engine, subscription.user_id, NOW + timedelta(minutes=minute))
        for minute in range(sessions.MAX_SESSIONS + 2)
    ]
    valid = [sessions.find_session(engine, [token], NOW) is not None for token in tokens]
    assert valid == [False] * 2 + [True] * sessions.MAX_SESSIONS


def test_cookies_of_several_paths_are_all_tried(client: TestClient, engine: sa.Engine, link: str) -> None:
    """The standalone app and Airflow may be on the same host: browsers then send both cookies."""
    token = sessions.start_session(engine, list_subscriptions(engine)[0].user_id, NOW)
    for cookies in (f"{COOKIE}=old; {COOKIE}={token}", f"a=b; {COOKIE}={token}; {COOKIE}=old"):
        assert client.get("/account", headers={"Cookie": cookies}).status_code == 200


def test_sign_in_leads_back_to_the_page(client: TestClient, engine: sa.Engine, link: str) -> None:
    asked = client.get("/account/history?before=7", headers=HTML)
    assert asked.headers["location"] == "/sign-in?next=%2Faccount%2Fhistory%3Fbefore%3D7"
    form = client.get(asked.headers["location"]).text
    assert 'name="next" value="/account/history?before=7"' in form
    sent = client.post("/sign-in", data={"email": ADA, "next": "/account/history?before=7"})
    assert "HttpOnly" in cookie_attributes(sent.headers["set-cookie"])
    client.headers.update(ORIGIN)
    assert client.post(link).headers["location"] == "/account/history?before=7"
    assert client.post(link).headers["location"] == "/account", "only once"
    assert client.get("/sign-in?next=/subscribe").headers["location"] == "/subscribe"


@pytest.mark.parametrize(
    "path",
    [
        "//evil.test",
        "/\\evil.test",
        "https://evil.test",
        "\\/evil.test",
        "evil",
        "",
        "/\t/evil.test",
        "/a\r\nSet-Cookie: x=y",
        "/" + "x" * 600,
        "/ü",
    ],
)
def test_sign_in_does_not_lead_to_other_sites(client: TestClient, link: str, path: str) -> None:
    assert not is_own_path(path)
    assert "set-cookie" not in client.post("/sign-in", data={"email": ADA, "next": path}).headers
    if path.isascii() and path.isprintable():
        client.cookies.set("coinwatch_return", path)
        assert client.post(link, headers=ORIGIN).headers["location"] == "/account"


def test_pages_require_a_session(client: TestClient, subscription: Subscription) -> None:
    number = subscription.id
    for path in ("", "/history", "/erase", "/export", f"/alerts/{number}"):
        assert client.get(f"/account{path}").status_code == 401, path
        assert client.get(f"/account{path}", headers=HTML).status_code == 303, path
    for path in (
        "/settings",
        "/erase",
        "/pause",
        "/test",
        "/webhook",
        "/webhook/secret",
        "/unsubscribe",
        f"/alerts/{number}/delete",
        f"/alerts/{number}",
    ):
        assert client.post(f"/account{path}").status_code == 401, path
        assert client.post(f"/account{path}", headers=HTML).headers["location"] == "/sign-in", path


def test_subscriber_cannot_reach_anothers_alerts(
    client: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    others = add_subscription(engine, BOB, threshold=33.0)
    sign_in(client, engine)
    assert "33%" not in client.get("/account").text
    assert client.get(f"/account/alerts/{others.id}").status_code == 404
    for action in ("", "/pause", "/delete", "/snooze", "/resume"):
        assert client.post(f"/account/alerts/{others.id}{action}", data=ALERT).status_code == 404, action
    assert list_subscriptions(engine, BOB) == [others]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("expired", [False, True], ids=["forged", "expired"])
def test_invalid_link_offers_a_new_one(
    client: TestClient, engine: sa.Engine, link: str, monkeypatch: pytest.MonkeyPatch, expired: bool, method: str
) -> None:
    if expired:
        monkeypatch.setattr(links, "MANAGE_SECONDS", -1)
    response = client.request(method, link if expired else forged(link), headers=HTML)
    assert (response.status_code, count_sessions(engine)) == (422, 0)
    assert "This link doesn't work" in response.text
    assert "Email me the link" in response.text


def test_browser_signed_in_as_someone_else_is_told_so(client: TestClient, engine: sa.Engine, link: str) -> None:
    add_subscription(engine, BOB)
    sign_in(client, engine, BOB)
    page = client.get(link).text
    assert (ADA in page, BOB in page) == (True, True)
    client.post(link)
    assert ADA in client.get("/account").text
    assert count_sessions(engine) == 1, "Bob's session in this browser has ended"


def test_confirming_signs_in(client: TestClient, engine: sa.Engine, settings: Settings) -> None:
    pending = add_subscription(engine, confirmed=False)
    path = path_of(confirmation_link(settings, link_key(engine, pending), pending.id))
    client.get(path)
    assert client.get("/account").status_code == 401
    assert client.post(path).status_code == 200
    assert ADA in client.get("/account").text


def test_alert_created_in_a_session_is_active_immediately(
    client: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    sign_in(client, engine)
    created = client.post("/subscribe", data=ALERT | {"email": ADA.upper()})
    assert (created.status_code, "active now" in created.text) == (201, True)
    again = client.post("/subscribe", data=ALERT | {"email": ADA})
    assert (again.status_code, "already gets alerts" in again.text) == (409, True)
    other = client.post("/subscribe", data=ALERT | {"email": BOB})
    assert (other.status_code, "Check your email" in other.text) == (200, True)
    assert [found.status for found in list_subscriptions(engine, ADA)] == ["active", "active"]
    assert [found.status for found in list_subscriptions(engine, BOB)] == ["pending"]
    assert queued_emails(engine) == [f"confirmation to {BOB}"]


def test_suppressed_address_has_to_confirm_even_in_a_session(
    client: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = 'x'"), {"now": NOW})
    sign_in(client, engine)
    assert "Check your email" in client.post("/subscribe", data=ALERT | {"email": ADA}).text
    assert queued_emails(engine) == [f"confirmation to {ADA}"]


def test_requesting_a_link_does_not_reveal_whether_the_address_is_known(client: TestClient, engine: sa.Engine) -> None:
    add_subscription(engine)
    known = client.post("/sign-in", data={"email": ADA})
    unknown = client.post("/sign-in", data={"email": "eve@example.org"})
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace(ADA, "eve@example.org") == unknown.text
    assert queued_emails(engine) == [f"manage to {ADA}"]
    invalid = client.post("/sign-in", data={"email": "nobody"})
    assert invalid.status_code == 422
    assert field_error(invalid.text, "email")


def test_link_requests_are_rate_limited(client: TestClient, engine: sa.Engine) -> None:
    add_subscription(engine)
    statuses = [client.post("/sign-in", data={"email": ADA}).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert len(queued_emails(engine)) == 1, "emails per address are limited too"
    assert "Try again in" in field_error(client.post("/sign-in", data={"email": ADA}).text, "email")


def test_tokens_are_not_logged_or_leaked(client: TestClient, subscription: Subscription, link: str) -> None:
    with capture_logs() as logs:
        page = client.get(link, headers=HTML)
        session = client.post(link).cookies[COOKIE]
        account = client.get("/account", headers=HTML)
        client.post(f"/account/alerts/{subscription.id}/fly", headers=ORIGIN)
    assert [log["route"] for log in logs if log["event"] == "request"][:2] == ["/manage/{token}"] * 2
    for token in (link.rpartition("/")[2], session):
        assert token not in str(logs)
        assert token not in account.text
    for response in (page, account):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["referrer-policy"] == "strict-origin"
        assert '<meta name="robots" content="noindex">' in response.text


def test_inside_airflow_the_account_requires_a_login_and_a_session(
    inside_as: Callable[[str | None], TestClient], engine: sa.Engine, link: str
) -> None:
    assert inside_as(None).get(f"/coinwatch{link}").status_code == 401
    viewer = inside_as("viewer")
    assert viewer.get("/coinwatch/account", headers=HTML).headers["location"] == "/coinwatch/sign-in?next=%2Faccount"
    opened = viewer.post(f"/coinwatch{link}")
    assert opened.headers["location"] == "/coinwatch/account"
    assert "Path=/coinwatch" in cookie_attributes(opened.headers["set-cookie"])
    viewer.cookies.set(COOKIE, opened.cookies[COOKIE])  # not sent without https
    assert 'action="/coinwatch/account/pause?"' in viewer.get("/coinwatch/account").text
    assert viewer.post("/coinwatch/account/resume").headers["location"].startswith("/coinwatch/account?done=")
    without_login = inside_as(None)
    without_login.cookies.set(COOKIE, opened.cookies[COOKIE])
    assert without_login.get("/coinwatch/account").status_code == 401
