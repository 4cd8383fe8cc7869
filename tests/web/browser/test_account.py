"""A subscriber in a real browser, following the links of real emails; layout and accessibility of the account pages."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.alerts.users import find_user_id
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.pipeline import store_alerts
from coinwatch.settings import Settings
from tests.support.smtp_server import Mailbox
from tests.web.browsing import DESKTOP, PHONE, is_wider_than_screen, low_contrasts, opened
from tests.web.seed import INSERT, UPSERT_LATEST, web_settings
from tests.web.subscribing import ADA, add_subscription, manage_path, sign_in_browser, subscriber_with_alerts

pytestmark = pytest.mark.browser

# Marks the focused control with its outline. Returns false when the focus has left the content.
MARK = """() => {
  const at = document.activeElement;
  if (!at.closest("main")) return false;
  at.dataset.reached = getComputedStyle(at).outlineStyle;
  return true;
}"""
MISSED = """() => [...document.querySelectorAll("main :is(a[href], button, input, select, summary)")]
  .filter((control) => control.checkVisibility() && control.dataset.reached !== "solid")
  .map((control) => control.textContent.trim() || control.name)"""


@pytest.fixture
def settings(mailbox: Mailbox) -> Settings:
    """The site sends confirmations and links right after its response, other emails with the next delivery."""
    return web_settings(smtp_url=mailbox.url)


def email_number(number: int, engine: sa.Engine, mailbox: Mailbox, settings: Settings) -> str:
    """The text of the email of this number, from 1, once it has arrived."""
    deliver_emails(engine, settings)
    deadline = time.monotonic() + 30
    while len(mailbox.messages) < number:
        assert time.monotonic() < deadline, f"{len(mailbox.messages)} emails have arrived, not {number}"
        time.sleep(0.05)
    body = mailbox.messages[number - 1].get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def follow(page: Page, site: str, settings: Settings, email: str, kind: str) -> None:
    """Open the link of this kind in an email, on the app under test."""
    [link] = set(re.findall(rf"{re.escape(settings.public_url)}/{kind}/\S+", email))
    page.goto(link.replace(settings.public_url, site))


def quote(engine: sa.Engine, price: float) -> None:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        values = {"exchange": "coinbase", "base": "BTC", "observed_at": now, "price": price}
        connection.execute(INSERT, values | {"volume": None, "bid": None, "ask": None})
        connection.execute(UPSERT_LATEST)
    store_alerts(engine, now)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_subscriber_manages_alerts_and_erases_data(
    browser: Browser,
    site: str,
    engine: sa.Engine,
    settings: Settings,
    mailbox: Mailbox,
    tmp_path: Path,
    viewport: dict[str, int],
) -> None:
    with opened(browser, f"{site}/subscribe", viewport=viewport, java_script_enabled=False) as page:
        page.get_by_label("Coin", exact=True).select_option("BTC")
        page.get_by_label("Exchange").select_option("coinbase")
        page.get_by_label("reaches a price").check()
        page.get_by_role("textbox", name="Level").fill("50,000")
        page.get_by_label("Cooldown").select_option("0")
        page.get_by_label("Email").fill(ADA)
        page.get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()

        follow(page, site, settings, email_number(1, engine, mailbox, settings), "confirm")
        page.get_by_role("button", name="Confirm").click()
        page.locator("main").get_by_role("link", name="My alerts").click()
        expect(page.get_by_role("article")).to_contain_text("50,000")
        expect(page.get_by_role("article")).to_contain_text("Hasn't fired yet")

        quote(engine, 50_001)
        follow(page, site, settings, email_number(2, engine, mailbox, settings), "manage")
        expect(page).to_have_url(f"{site}/account")
        expect(page.locator("#history")).to_contain_text("50,001.00 USD")
        expect(page.locator("#history")).to_contain_text("50,000")
        card = page.get_by_role("article")
        expect(card).to_contain_text("Fired once, on")

        card.get_by_role("link", name="Edit").click()
        expect(page.get_by_role("textbox", name="Level")).to_have_value("50000")
        page.get_by_role("textbox", name="Level").fill("60000 or so")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#level-error")).to_contain_text("is not a number")
        page.get_by_role("textbox", name="Level").fill("60.000")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("Alert changed")
        expect(card).to_contain_text("60,000")

        card.get_by_role("button", name="Pause").click()
        expect(card).to_contain_text("Paused")
        quote(engine, 60_001)
        card.get_by_role("button", name="Resume").click()
        expect(card).to_contain_text("Active")
        card.locator("summary", has_text="Snooze").click()
        card.get_by_role("button", name="8 hours").click()
        expect(card).to_contain_text("Snoozed until")
        quote(engine, 59_000)
        expect(card).to_contain_text("Fired once, on")
        card.get_by_role("button", name="Unsnooze").click()
        quote(engine, 60_500)
        page.reload()
        expect(card).to_contain_text("Fired 2 times,")

        page.get_by_label("Time zone").fill("Asia/Tokyo")
        page.get_by_label("Quiet hours from").fill("22:00")
        page.get_by_label("until").fill("07:00")
        page.get_by_label("Emails").select_option("daily")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("Settings saved")
        expect(page.locator("footer")).to_contain_text("Asia/Tokyo")
        [subscription] = get_subscriber(engine, find_user_id(engine, ADA) or 0).subscriptions
        assert subscription.last_alert_at is not None
        expect(page.locator("#history")).to_contain_text(f"{subscription.last_alert_at + timedelta(hours=9):%H:%M}")

        with page.expect_download() as download:
            page.get_by_role("link", name="Download my data").click()
        download.value.save_as(tmp_path / "data.json")
        data = json.loads((tmp_path / "data.json").read_text())
        assert (data["email"], data["digest"], len(data["subscriptions"][0]["alerts"])) == (ADA, "daily", 2)

        card.locator("summary", has_text="Delete").click()
        card.get_by_role("button", name="Delete alert").click()
        expect(page.get_by_role("heading", name="No alerts yet")).to_be_visible()
        assert list_subscriptions(engine) == []

        page.get_by_role("link", name="Erase everything").click()
        page.get_by_role("button", name="Erase everything").click()
        expect(page.get_by_role("heading", name="Your data has been erased")).to_be_visible()
        assert find_user_id(engine, ADA) is None
        page.goto(f"{site}/account")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    with engine.connect() as connection:
        for table in ("users", "sessions", "account_visits", "subscriptions", "alerts", "outbox", "held_users"):
            assert connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table


def test_new_link_can_be_requested(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    subscriber_with_alerts(engine)
    with opened(browser, f"{site}/manage/expired") as page:
        expect(page.get_by_role("alert")).to_contain_text("This link doesn't work")
        page.get_by_label("Email").fill(ADA)
        page.get_by_role("button", name="Email me the link").click()
        expect(page.get_by_role("status")).to_contain_text("within a few minutes")
        follow(page, site, settings, email_number(1, engine, mailbox, settings), "manage")
        page.get_by_role("button", name="Open my alerts").click()
        expect(page).to_have_url(f"{site}/account")
        expect(page.get_by_role("heading", name="My alerts")).to_be_visible()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_account_pages_fit_the_screen_with_sufficient_contrast(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, viewport: dict[str, int], scheme: str
) -> None:
    subscription_ids = subscriber_with_alerts(engine)
    pages = {ADA: ["", "?done=saved", "/history", "/erase", *(f"/alerts/{number}" for number in subscription_ids)]}
    long = "somebody.with.a.rather.long.name@mail.of.a.subdomain.example.org"
    add_subscription(engine, long)
    suppress = sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = :why WHERE email = :long")
    with engine.begin() as connection:
        connection.execute(
            suppress, {"now": datetime.now(UTC), "why": f"550 5.1.1 <{long}>: no such user", "long": long}
        )
    pages[long] = [""]
    with opened(browser, site, viewport=viewport, color_scheme=scheme) as page:
        for email, suffixes in pages.items():
            signed_out = [f"{site}/sign-in", f"{site}/manage/x", site + manage_path(engine, settings, email)]
            for path in signed_out + [f"{site}/account{suffix}" for suffix in suffixes]:
                if path == f"{site}/account":
                    sign_in_browser(page, engine, site, email)
                page.goto(path)
                for summary in page.locator("summary").all():
                    summary.click()
                assert not is_wider_than_screen(page), path
                assert low_contrasts(page) == [], path


def test_account_page_is_keyboard_accessible(browser: Browser, site: str, engine: sa.Engine) -> None:
    subscriber_with_alerts(engine)
    with opened(browser, site) as page:
        sign_in_browser(page, engine, site)
        page.goto(f"{site}/account")
        page.locator("nav a").last.focus()
        page.keyboard.press("Tab")
        while page.evaluate(MARK):
            page.keyboard.press("Tab")
        assert page.evaluate(MISSED) == []
        page.locator("summary", has_text="Snooze").first.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("1 hour")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Alert snoozed")
        expect(page.locator("article").first).to_contain_text("Snoozed until")


def test_device_time_zone_is_offered(browser: Browser, site: str, engine: sa.Engine) -> None:
    subscriber_with_alerts(engine)
    with opened(browser, site, timezone_id="Asia/Tokyo") as page:
        sign_in_browser(page, engine, site)
        page.goto(f"{site}/account")
        page.get_by_role("button", name="Asia/Tokyo").click()
        page.get_by_role("button", name="Save").click()
        expect(page.locator("footer")).to_contain_text("Asia/Tokyo")
        expect(page.locator("#device-timezone")).to_be_hidden()


def test_buttons_have_accessible_names(browser: Browser, site: str, engine: sa.Engine) -> None:
    subscriber_with_alerts(engine)
    with opened(browser, site) as page:
        sign_in_browser(page, engine, site)
        page.goto(f"{site}/account")
        name = "Pause the alert for Bitcoin: the price moves by 5% or more within 1 hour"
        expect(page.get_by_role("button", name=name)).to_have_count(1)
        for field in ("Time zone", "Quiet hours from", "until", "Emails"):
            expect(page.get_by_label(field)).to_be_visible()
