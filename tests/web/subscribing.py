"""Subscriptions, alerts and emails for tests of the pages and the API."""

import re
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from fastapi.testclient import TestClient
from playwright.sync_api import Page

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.sessions import start_session
from coinwatch.alerts.subscriptions import Subscription
from coinwatch.alerts.users import LinkKey, find_user_id, get_link_key
from coinwatch.mail.links import manage_link
from coinwatch.notifications.preferences import Preferences, set_preferences
from coinwatch.settings import Settings
from coinwatch.web.sessions import COOKIE
from tests.support.subscriptions import subscribe
from tests.web.seed import NOW

ADA, BOB = "ada@example.org", "bob@example.org"

INSERT_ALERTS = sa.text("""
  INSERT INTO alerts (subscription_id, observed_at, price, reference, reference_at, change_percent, state, created_at)
  SELECT :id, CAST(:newest AS timestamptz) - make_interval(mins => step), 100 + step, 100, NULL, step, 'notified',
         :newest
  FROM generate_series(1, :count) step ORDER BY step DESC
""")

INSERT_HELD_ALERTS = sa.text("""
  INSERT INTO alerts (subscription_id, observed_at, price, reference, change_percent, late, state, created_at)
  SELECT :id, CAST(:newest AS timestamptz) - make_interval(mins => step), 43210.5 + step, 43000, 1.5 - step, step = 2,
         CASE step WHEN 1 THEN 'held' ELSE 'notified' END, :newest
  FROM generate_series(1, :count) step ORDER BY step DESC
""")


def add_subscription(
    engine: sa.Engine,
    email: str = ADA,
    coin: str = "BTC",
    *,
    now: datetime = NOW,
    confirmed: bool = True,
    **rule: object,
) -> Subscription:
    wanted = Rule(**({"threshold": 5.0} | rule))  # type: ignore[arg-type]
    return subscribe(engine, email=email, coin=coin, rule=wanted, now=now, confirmed=confirmed)


def add_alerts(engine: sa.Engine, subscription: Subscription, count: int) -> None:
    """Add one fired alert per minute up to NOW; the newest has a change of 1%, the one before 2%, and so on."""
    with engine.begin() as connection:
        connection.execute(INSERT_ALERTS, {"id": subscription.id, "newest": NOW, "count": count})


def subscriber_with_alerts(engine: sa.Engine) -> list[int]:
    """Ada with a subscription in every state, some of which have fired; returns the ids of the subscriptions."""
    now = datetime.now(UTC)
    fired = add_subscription(engine, now=now, kind="change_over_window", window_seconds=3600, cooldown_seconds=3600)
    paused = add_subscription(
        engine, coin="ETH", now=now, kind="crosses", threshold=2500.0, direction="up", repeat=False
    )
    snoozed = add_subscription(
        engine,
        coin="SOL",
        now=now,
        kind="deviation_from_average",
        window_seconds=300,
        expires_at=now + timedelta(days=9),
    )
    pending = add_subscription(engine, coin="XRP", now=now, metric="volume_24h", threshold=50.0, confirmed=False)
    ended = add_subscription(engine, coin="DOGE", now=now)
    with engine.begin() as connection:
        connection.execute(INSERT_HELD_ALERTS, {"id": fired.id, "newest": now, "count": 12})
        connection.execute(sa.text("UPDATE subscriptions SET status = 'ended' WHERE id = :id"), {"id": ended.id})
    changes.pause(engine, fired.user_id, paused.id)
    changes.snooze(engine, fired.user_id, snoozed.id, now + timedelta(hours=8), now)
    set_preferences(engine, fired.user_id, Preferences("Europe/Berlin"), now)
    return [subscription.id for subscription in (fired, paused, snoozed, pending, ended)]


def queued_emails(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text("SELECT kind || ' to ' || recipient FROM outbox ORDER BY id")).scalars())


def manage_path(engine: sa.Engine, settings: Settings, email: str = ADA) -> str:
    user_id = find_user_id(engine, email)
    assert user_id is not None
    return path_of(manage_link(settings, get_link_key(engine, user_id)))


def sign_in(client: TestClient, engine: sa.Engine, email: str = ADA, *, now: datetime = NOW) -> None:
    """Sign the client in as if it had opened the link in an email; it sends what browsers send with their forms."""
    user_id = find_user_id(engine, email)
    assert user_id is not None
    client.cookies.set(COOKIE, start_session(engine, user_id, now))
    client.headers["Origin"] = str(client.base_url).rstrip("/")


def sign_in_browser(page: Page, engine: sa.Engine, site: str, email: str = ADA) -> None:
    """Sign the browser of this page in."""
    user_id = find_user_id(engine, email)
    assert user_id is not None
    token = start_session(engine, user_id, datetime.now(UTC))
    page.context.add_cookies([{"name": COOKIE, "value": token, "url": site, "httpOnly": True, "sameSite": "Lax"}])


def link_key(engine: sa.Engine, subscription: Subscription) -> LinkKey:
    return get_link_key(engine, subscription.user_id)


def path_of(link: str) -> str:
    return re.sub(r"^https?://[^/]+", "", link)


def forged(token: str) -> str:
    """The token with the first character of its signature changed (the last one has insignificant bits)."""
    head, dot, signature = token.rpartition(".")
    return head + dot + ("B" if signature[0] == "A" else "A") + signature[1:]


def press(client: TestClient, path: str, **data: object) -> str:
    """Press a button; returns the page it redirects to."""
    response = client.post(path, data={name: str(value) for name, value in data.items()})
    assert response.status_code == 303, response.text
    return client.get(response.headers["location"]).text


def field_error(page: str, field: str) -> str:
    """The error that a form shows next to a field."""
    found = re.search(rf'id="{field}-error">(.*?)</p>', page, re.DOTALL)
    assert found, f"{field} has no error"
    return found[1]
