"""Asking for an alert in a real browser: every kind of rule, and how often it would have told."""

import re

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from coinwatch.alerts.subscriptions import list_subscriptions
from tests.web.browser.test_pages import fill_form
from tests.web.browsing import CONTRASTS, DESKTOP, PHONE, opened

pytestmark = pytest.mark.browser

KINDS = {
    "changes within a time": {"threshold_percent", "change_window_seconds"},
    "crosses a level": {"level"},
    "leaves its average": {"threshold_percent", "average_window_seconds"},
    "jumps from one value to the next": {"threshold_percent"},
}
OWN_FIELDS = set().union(*KINDS.values())


def answer_of(page: Page) -> str:
    """What the form says about the past, once it has said something."""
    expect(page.locator("#preview:not(.busy) #answer strong")).to_be_visible()
    return page.locator("#answer").inner_text()


@pytest.mark.parametrize("javascript", [True, False], ids=["with", "without"])
def test_only_the_chosen_kinds_fields_are_shown(browser: Browser, site: str, javascript: bool) -> None:
    with opened(browser, f"{site}/subscribe", java_script_enabled=javascript) as page:
        for kind, fields in KINDS.items():
            page.get_by_label(kind).check()
            shown = {name for name in OWN_FIELDS if page.locator(f"#{name}").is_visible()}
            assert shown == fields, kind
        assert not page.get_by_label("Last day").is_visible()
        page.get_by_text("More choices").click()
        page.get_by_label("Watch").select_option("volume_24h")
        expect(page.locator("legend")).to_have_text(re.compile("Tell me when.*the 24 h volume"))
        expect(page.get_by_text("the price", exact=True).first).to_be_hidden()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/subscribe", "/"])
def test_the_form_with_each_kinds_past_fits_its_screen_and_can_be_read(
    browser: Browser, site: str, viewport: dict[str, int], scheme: str, path: str
) -> None:
    with opened(browser, site + path, viewport=viewport, color_scheme=scheme) as page:
        page.get_by_label("Price at").select_option("coinbase")
        page.locator("#average_window_seconds").evaluate("select => { select.value = '3600' }")
        for kind in KINDS:
            page.get_by_label(kind).check()
            number = page.locator("#level" if kind == "crosses a level" else "#threshold_percent")
            number.fill("43,000" if kind == "crosses a level" else "0,05")
            page.get_by_role("button", name="How often").click()
            assert "this would have alerted you" in answer_of(page), kind
            expect(page.locator("#past .mark").first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], kind
            assert [text for text in page.evaluate(CONTRASTS) if text[0] < 4.5] == [], kind


def test_the_answer_follows_every_change_by_itself(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        page.get_by_label("Price at").select_option("coinbase")
        page.get_by_label("jumps").check()
        page.get_by_label("By at least").fill("0,05")
        expect(page.locator("#answer")).to_contain_text("this would have alerted you")
        page.get_by_label("By at least").fill("900")
        expect(page.locator("#answer")).to_contain_text("would not have told you anything")
        page.get_by_label("By at least").fill("9000")
        expect(page.locator("#answer")).to_contain_text("By at least (%): The change has to be between")
        page.get_by_label("crosses a level").check()
        page.locator("#level").fill("12.34.5")
        expect(page.locator("#answer")).to_contain_text("Level: “12.34.5” is not a number.")
        expect(page.locator("#past")).to_be_empty()
        assert page.locator("#answer").get_attribute("role") == "status", "said to those who cannot see it"


def test_the_answer_comes_without_javascript_and_nothing_typed_is_lost(
    browser: Browser, site: str, engine: sa.Engine
) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        page.get_by_label("Coin").select_option("ETH")
        page.get_by_label("Price at").select_option("kraken")
        page.get_by_label("leaves its average").check()
        page.get_by_label("By at least").fill("0,1 %")
        page.get_by_label("Average of the last").select_option("3600")
        page.get_by_role("button", name="How often").click()
        assert "this would have alerted you" in answer_of(page)
        expect(page.locator("#past svg")).to_be_visible()
        page.get_by_label("Mail to").fill("ada@example.org")
        page.get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
        [made] = list_subscriptions(engine)
        assert (made.base, made.exchange, made.threshold) == ("ETH", "kraken", 0.1)
        assert (made.kind, made.window_seconds) == ("deviation_from_average", 3600)


def test_only_what_goes_together_can_be_chosen(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        currency = page.get_by_label("Currency")
        page.get_by_label("Coin").select_option("BTC")
        expect(currency).to_be_hidden()
        page.get_by_label("Price at").select_option("kraken")
        expect(currency).to_be_visible()
        currency.select_option("EUR")
        page.get_by_label("Price at").select_option("coinbase")
        expect(currency).to_be_hidden()
        expect(currency).to_have_value("")


def test_enter_creates_the_alert_and_does_not_ask_about_the_past(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        page.get_by_label("Mail to").fill("ada@example.org")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Browser, site: str) -> None:
    order = ["coin", "exchange", "kind", "threshold_percent", "direction", "change_window_seconds", "cooldown_seconds"]
    order += ["More choices", "How often would this have told me?", "email", "Create alert"]
    with opened(browser, f"{site}/subscribe") as page:
        reached: list[str] = []
        while "Create alert" not in reached and len(reached) < 30:
            page.keyboard.press("Tab")
            name, style = page.evaluate(
                "[document.activeElement.name || document.activeElement.textContent.trim(),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            reached.append(name)
            assert style == "solid" or name == "kind", name
        assert reached[0] == "Skip to the content"
        assert reached[-len(order) :] == order


def test_what_was_typed_is_still_there_when_one_goes_back(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        page.get_by_label("crosses a level").check()
        page.locator("#level").fill("43,000")
        page.get_by_label("Mail to").fill("ada@example.org")
        page.locator(".who").get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
        page.go_back()
        expect(page.locator("#level")).to_have_value("43,000")
        expect(page.get_by_label("Mail to")).to_have_value("ada@example.org")


def test_whatever_is_typed_the_page_fits_its_screen(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe", viewport=PHONE) as page:
        number = page.get_by_label("By at least")
        number.evaluate("field => { field.maxLength = 9000; field.value = '<b>'.repeat(2000) }")
        page.get_by_role("button", name="How often").click()
        expect(page.locator("#answer")).to_contain_text("is not a number")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.get_by_label("Mail to").fill("ada@example.org")
        page.locator(".who").get_by_role("button", name="Create alert").click()
        expect(page.locator("#threshold_percent-problem")).to_contain_text("is not a number")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_mistake_gets_the_focus(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        fill_form(page, percent="a lot")
        expect(page.get_by_label("By at least")).to_be_focused()
        expect(page.get_by_label("Mail to")).to_have_value("ada@example.org")
