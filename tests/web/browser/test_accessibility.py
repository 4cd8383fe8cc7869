"""WCAG 2.2 AA of every page and email, checked by axe; focus, descriptions and announcements."""

import json
import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.mail.delivery import deliver_emails
from coinwatch.mail.links import confirmation_link, unsubscribe_link
from coinwatch.settings import Settings
from tests.support.email_payloads import ALERT
from tests.support.smtp_server import Mailbox
from tests.web.browsing import PHONE, fill_in_form, is_wider_than_screen, opened, preview_summary
from tests.web.seed import NOW, web_settings
from tests.web.subscribing import ADA, link_key, manage_path, path_of, sign_in_browser, subscriber_with_alerts

pytestmark = pytest.mark.browser
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

INSERT_USER = sa.text("INSERT INTO users (email, created_at, verified_at) VALUES (:email, :now, :now)")
QUEUE_EMAIL = sa.text("""
  INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
  SELECT :kind, id, email, :kind, CAST(:payload AS jsonb), :now, :now FROM users WHERE email = :email
""")


def violations(page: Page, rules: list[str] = RULES) -> str:
    found = Axe().run(page, options={"runOnly": rules})
    return found.generate_report() if found.violations_count else ""


@pytest.fixture
def account(site: str, engine: sa.Engine) -> str:
    """The address of an account page that shows every state of an alert."""
    subscriber_with_alerts(engine)
    return f"{site}/account"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_axe_violations(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, account: str, scheme: str
) -> None:
    pending = next(subscription for subscription in list_subscriptions(engine) if subscription.status == "pending")
    key = link_key(engine, pending)
    links = [confirmation_link(settings, key, pending.id), unsubscribe_link(settings, key, [pending.id])]
    pages = [
        "/",
        "/?q=bit&sort=24h&open=BTC",
        "/coins/BTC?exchange=coinbase",
        "/coins/BTC?exchange=coinbase&compare=kraken&range=custom&start=nope",
        "/subscribe",
        "/subscribe/bulk",
        "/sign-in",
        "/manage/invalid",
        manage_path(engine, settings),
    ]
    pages += ["/docs", "/nothing", *(path_of(link) for link in links)]
    account_pages = [
        account,
        f"{account}?done=paused&alert=1",
        f"{account}/history",
        f"{account}/erase",
        f"{account}/settings",
    ]
    account_pages += [f"{account}/alerts/{pending.id}"]
    titles = set()
    with opened(browser, site, viewport=PHONE, color_scheme=scheme) as page:
        for path in [*(site + path for path in pages), *account_pages]:
            if path == account:
                sign_in_browser(page, engine, site)
            page.goto(path)
            for summary in page.locator("summary").all():
                summary.click()
            assert violations(page) == "", path
            titles.add(page.title())
        page.context.clear_cookies()  # a signed-in subscriber can't enter another address
        page.goto(f"{site}/subscribe")
        fill_in_form(page, percent="a lot")
        assert violations(page) == "", "form with an error"
        page.get_by_label("Change (at least, %)").fill("0.5")
        preview_summary(page)
        assert violations(page) == "", "form with a preview"
    assert len(titles) >= len(pages) + len(account_pages) - 4, "pages have different titles"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_emails_have_no_axe_violations(browser: Browser, engine: sa.Engine, mailbox: Mailbox, scheme: str) -> None:
    confirmation = {"subscription_id": 7, "pair": "BTC/USD", "exchange": "kraken", "condition": "the price falls"}
    payloads: list[tuple[str, object]] = [
        ("alerts", {"alerts": [ALERT, ALERT | {"change_percent": -7.0}, ALERT | {"late": True}]}),
        ("digest", {"alerts": [ALERT], "period": "daily"}),
        ("confirmation", confirmation),
        ("manage", {"reason": "asked", "condition": None, "pair": None}),
        ("expired", ALERT),
        ("test", {"requested_at": "2026-11-20T12:00:00+00:00", "timezone": "Europe/Berlin"}),
    ]
    with engine.begin() as connection:
        connection.execute(INSERT_USER, {"email": ADA, "now": NOW})
        for kind, payload in payloads:
            values = {"kind": kind, "payload": json.dumps(payload), "email": ADA, "now": datetime.now(UTC)}
            connection.execute(QUEUE_EMAIL, values)
    deliver_emails(engine, web_settings(smtp_url=mailbox.url))
    assert len(mailbox.messages) == len(payloads)
    with opened(browser, "about:blank", viewport=PHONE, color_scheme=scheme) as page:
        for email in mailbox.messages:
            part = email.get_body(("html",))
            assert part is not None
            page.set_content(part.get_content())
            assert violations(page, [rule for rule in RULES if rule != "best-practice"]) == "", email["Subject"]
            assert not is_wider_than_screen(page), email["Subject"]


def test_hints_describe_their_fields(browser: Browser, site: str, engine: sa.Engine, account: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        within = page.locator("#change_window_seconds")
        expect(within).to_have_accessible_description(re.compile("Compared with the price"))
    with opened(browser, site) as page:
        sign_in_browser(page, engine, site)
        page.goto(f"{account}/settings")
        expect(page.get_by_label("Quiet hours from")).to_have_accessible_description(
            re.compile("one email when they end")
        )


def test_confirmation_and_errors_get_the_focus(browser: Browser, site: str, engine: sa.Engine, account: str) -> None:
    with opened(browser, site, viewport=PHONE) as page:
        sign_in_browser(page, engine, site)
        page.goto(f"{account}/settings")
        page.get_by_label("Time zone").fill("Tokyo")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_label("Time zone")).to_be_focused()
        expect(page.get_by_label("Time zone")).to_have_accessible_description(re.compile("Asia/Tokyo"))
        page.get_by_label("Time zone").fill("Asia/Tokyo")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("status")).to_be_focused()
        expect(page.get_by_role("status")).to_be_in_viewport()
