"""Every page held to WCAG 2.2 AA by axe, and what axe cannot see: where the focus goes, and what is said aloud."""

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.alerts.users import find_user_id
from coinwatch.mail.links import confirmation_link, manage_link, unsubscribe_link
from coinwatch.settings import Settings
from tests.unit.mail.test_messages import ALERT, parsed
from tests.web.browser.test_form import answer_of
from tests.web.browser.test_manage import ADA, lively
from tests.web.browser.test_pages import fill_form
from tests.web.browsing import PHONE, opened

pytestmark = pytest.mark.browser
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def faults(page: Page, rules: list[str] = RULES) -> str:
    found = Axe().run(page, options={"runOnly": rules})
    return found.generate_report() if found.violations_count else ""


@pytest.fixture
def own_page(site: str, engine: sa.Engine, settings: Settings) -> str:
    lively(engine)
    return manage_link(settings, find_user_id(engine, ADA) or 0).replace(settings.public_url, site)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_on_any_page(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, own_page: str, scheme: str
) -> None:
    waiting = next(own.id for own in list_subscriptions(engine) if own.status == "pending")
    links = [confirmation_link(settings, waiting), unsubscribe_link(settings, [waiting])]
    pages = ["/", "/coins", "/coins?coin=nope", "/coins/BTC?exchange=coinbase", "/subscribe", "/manage", "/manage/lost"]
    pages += ["/docs", "/nothing", *(link.removeprefix(settings.public_url) for link in links)]
    own = own_page.removeprefix(site)
    pages += [own, f"{own}?done=saved", f"{own}/history", f"{own}/erase", f"{own}/alerts/{waiting}"]
    titles = set()
    with opened(browser, site, viewport=PHONE, color_scheme=scheme) as page:
        for path in pages:
            page.goto(site + path)
            for summary in page.locator("summary").all():
                summary.click()
            assert faults(page) == "", path
            titles.add(page.title())
        page.goto(f"{site}/subscribe")
        fill_form(page, percent="a lot")
        assert faults(page) == "", "a mistake"
        page.get_by_label("By at least").fill("0.5")
        answer_of(page)
        assert faults(page) == "", "a look back"
    assert len(titles) >= len(pages) - 4, "pages are told apart by their titles"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_any_mail(browser: Browser, scheme: str) -> None:
    confirmation = {"subscription_id": 7, "pair": "BTC/USD", "exchange": "kraken", "condition": "the price falls"}
    mails = [
        parsed("alerts", {"alerts": [ALERT, ALERT | {"change_percent": -7.0}, ALERT | {"late": True}]}),
        parsed("digest", {"alerts": [ALERT], "period": "daily"}),
        parsed("confirmation", confirmation),
        parsed("manage", {"reason": "asked", "condition": None, "pair": None}),
        parsed("expired", ALERT),
    ]
    with opened(browser, "about:blank", viewport=PHONE, color_scheme=scheme) as page:
        for mail in mails:
            part = mail.get_body(("html",))
            assert part is not None
            page.set_content(part.get_content())
            assert faults(page, [rule for rule in RULES if rule != "best-practice"]) == "", mail["Subject"]
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], mail["Subject"]


def test_hints_are_read_with_their_fields(browser: Browser, site: str, own_page: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        within = page.locator("#change_window_seconds")
        expect(within).to_have_accessible_description("Compared with the value that long before.")
    with opened(browser, own_page) as page:
        expect(page.get_by_label("Quiet from")).to_have_accessible_description(re.compile("one mail when they end"))


def test_what_was_saved_and_what_was_wrong_get_the_focus(browser: Browser, own_page: str) -> None:
    with opened(browser, own_page, viewport=PHONE) as page:
        page.get_by_label("Your time zone").fill("Tokyo")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Your time zone")).to_be_focused()
        expect(page.get_by_label("Your time zone")).to_have_accessible_description(
            "There is no time zone 'Tokyo'. Did you mean Asia/Tokyo?"
        )
        page.get_by_label("Your time zone").fill("Asia/Tokyo")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_be_focused()
        expect(page.get_by_role("status")).to_be_in_viewport()


def test_only_trouble_with_the_prices_is_said_aloud(browser: Browser, site: str) -> None:
    with opened(browser, "about:blank") as page:
        page.clock.install(time=datetime.now(UTC))
        page.goto(site)
        note = page.locator("#freshness")
        expect(note).to_contain_text("updates by itself")
        expect(note).to_have_attribute("aria-live", "off")
        page.route("**/prices", lambda route: route.abort())
        page.clock.run_for(60_000)
        expect(note).to_contain_text("the server does not answer")
        expect(note).to_have_attribute("aria-live", "polite")
