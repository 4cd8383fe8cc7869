"""A subscriber in a real browser, following the links of real emails; layout and accessibility of the account pages."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.alerts.users import find_user_id
from coinwatch.mail.delivery import deliver_emails
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
def test_subscriber_from_the_first_alert_to_the_last(
    browser: Browser,
    site: str,
    engine: sa.Engine,
    settings: Settings,
    mailbox: Mailbox,
    tmp_path: Path,
    viewport: dict[str, int],
) -> None:
    """Without JavaScript: subscribe, confirm, be signed in, snooze from an email, edit, export, end, erase."""
    with opened(browser, f"{site}/subscribe", viewport=viewport, java_script_enabled=False) as page:
        create_level_alert(page, "50,000", ADA)
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
        follow(page, site, settings, email_number(1, engine, mailbox, settings), "confirm")
        page.get_by_role("button", name="Confirm").click()
        page.locator("main").get_by_role("link", name="My alerts").click()
        expect(page).to_have_url(f"{site}/account")
        first = page.locator("table.alerts tbody tr").first
        expect(first).to_contain_text("50,000")
        expect(first).to_contain_text("Hasn't fired yet")

        page.goto(f"{site}/subscribe")
        create_level_alert(page, "60,000")
        expect(page.get_by_role("heading", name="Alert created")).to_be_visible()
        assert {found.status for found in list_subscriptions(engine)} == {"active"}, "no second confirmation"

        quote(engine, 50_001)
        email = email_number(2, engine, mailbox, settings)
        follow(page, site, settings, email, "manage")
        expect(page).to_have_url(f"{site}/account")
        expect(first).to_contain_text("1 time")
        [link] = set(re.findall(rf"{re.escape(settings.public_url)}(/snooze/\S+)", email))
        page.context.clear_cookies()
        page.goto(site + link)
        page.get_by_role("button", name="Snooze for 1 day").click()
        expect(page.get_by_role("heading", name="Alert snoozed")).to_be_visible()
        page.goto(f"{site}/account/history")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.get_by_label("Email").fill(ADA)
        page.get_by_role("button", name="Email me the link").click()
        follow(page, site, settings, email_number(3, engine, mailbox, settings), "manage")
        page.get_by_role("button", name="Open my alerts").click()
        expect(page).to_have_url(f"{site}/account/history")
        expect(page.locator("main")).to_contain_text("50,001.00 USD")

        page.goto(f"{site}/account")
        expect(first).to_contain_text("Snoozed until")
        first.get_by_role("button", name="Unsnooze").click()
        expect(first.get_by_role("status")).to_contain_text("It's active again")
        first.get_by_role("link", name="Edit").click()
        page.get_by_role("textbox", name="Level").fill("70.000")
        page.get_by_role("button", name=re.compile("Save")).first.click()
        expect(first).to_contain_text("70,000")
        first.get_by_role("button", name="Pause").click()
        expect(first.get_by_role("status")).to_contain_text("Alert paused")
        first.get_by_role("button", name="Resume").click()

        page.goto(f"{site}/account/settings")
        page.get_by_label("Time zone").fill("Asia/Tokyo")
        page.get_by_label("Quiet hours from").fill("22:00")
        page.get_by_label("until").fill("07:00")
        page.get_by_label("Emails").select_option("daily")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("status")).to_contain_text("Settings saved")
        expect(page.locator("footer")).to_contain_text("Asia/Tokyo")
        page.get_by_role("button", name="Send a test notification").click()
        assert "You asked for this test" in email_number(4, engine, mailbox, settings)
        page.goto(f"{site}/account/settings")
        expect(page.locator("#test")).to_contain_text("sent at")

        with page.expect_download() as download:
            page.get_by_role("link", name="Download my data").click()
        download.value.save_as(tmp_path / "data.json")
        data = json.loads((tmp_path / "data.json").read_text())
        assert (data["email"], data["digest"], len(data["subscriptions"])) == (ADA, "daily", 2)

        follow(page, site, settings, email, "unsubscribe")
        page.get_by_role("button", name=re.compile("End alert")).click()
        assert sorted(found.status for found in list_subscriptions(engine)) == ["active", "unsubscribed"]
        page.goto(f"{site}/account/settings")
        page.get_by_role("link", name="Erase everything").click()
        page.get_by_role("button", name="Erase everything").click()
        expect(page.get_by_role("heading", name="Your data has been erased")).to_be_visible()
        assert find_user_id(engine, ADA) is None
        page.goto(f"{site}/account")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    with engine.connect() as connection:
        for table in ("users", "sessions", "account_visits", "subscriptions", "alerts", "outbox", "held_users"):
            assert connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table


def create_level_alert(page: Page, level: str, email: str | None = None) -> None:
    """Fill in and submit the alert form; without ``email`` the visitor is signed in."""
    page.get_by_label("Coin", exact=True).select_option("BTC")
    page.get_by_label("Exchange").select_option("coinbase")
    page.get_by_label("reaches a price").check()
    page.get_by_role("textbox", name="Level").fill(level)
    page.get_by_label("Cooldown").select_option("0")
    if email:
        page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Create alert").click()


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
    pages = {
        ADA: [
            "",
            "?done=paused&alert=1",
            "/history",
            "/settings",
            "/erase",
            *(f"/alerts/{number}" for number in subscription_ids),
        ]
    }
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
        page.locator("main").evaluate("main => { main.tabIndex = -1; main.focus(); }")
        page.keyboard.press("Tab")
        while page.evaluate(MARK):
            page.keyboard.press("Tab")
        assert page.evaluate(MISSED) == []
        page.locator("summary", has_text="Snooze").first.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("1 hour")
        page.keyboard.press("Enter")
        first = page.locator("table.alerts tbody tr").first
        expect(first.get_by_role("status")).to_contain_text("Alert snoozed")
        expect(first).to_contain_text("Snoozed until")


def test_device_time_zone_is_offered(browser: Browser, site: str, engine: sa.Engine) -> None:
    subscriber_with_alerts(engine)
    with opened(browser, site, timezone_id="Asia/Tokyo") as page:
        sign_in_browser(page, engine, site)
        page.goto(f"{site}/account/settings")
        page.get_by_role("button", name="Asia/Tokyo").click()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("footer")).to_contain_text("Asia/Tokyo")
        expect(page.locator("#device-timezone")).to_be_hidden()


def test_buttons_have_accessible_names(browser: Browser, site: str, engine: sa.Engine) -> None:
    subscriber_with_alerts(engine)
    with opened(browser, site) as page:
        sign_in_browser(page, engine, site)
        page.goto(f"{site}/account")
        name = "Pause the alert for Bitcoin: the price moves by 5% or more within 1 hour"
        expect(page.get_by_role("button", name=name)).to_have_count(1)
        page.goto(f"{site}/account/settings")
        for field in ("Time zone", "Quiet hours from", "until", "Emails"):
            expect(page.get_by_label(field)).to_be_visible()
