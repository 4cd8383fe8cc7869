"""The alert form in a real browser: every kind of rule, and its preview."""

import re

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

from coinwatch.alerts.subscriptions import list_subscriptions
from tests.web.browsing import (
    DESKTOP,
    PHONE,
    fill_in_form,
    is_wider_than_screen,
    low_contrasts,
    opened,
    preview_summary,
)

pytestmark = pytest.mark.browser

KINDS = {
    "moves by a percentage": {"threshold_percent", "change_window_seconds"},
    "reaches a price": {"level"},
    "moves away from its average": {"threshold_percent", "average_window_seconds"},
    "jumps between two updates": {"threshold_percent"},
}
RULE_FIELDS = set().union(*KINDS.values())


@pytest.mark.parametrize("javascript", [True, False], ids=["with", "without"])
def test_only_fields_of_the_chosen_kind_are_shown(browser: Browser, site: str, javascript: bool) -> None:
    with opened(browser, f"{site}/subscribe", java_script_enabled=javascript) as page:
        for kind, fields in KINDS.items():
            page.get_by_label(kind).check()
            shown = {name for name in RULE_FIELDS if page.locator(f"#{name}").is_visible()}
            assert shown == fields, kind
        assert not page.get_by_label("Last day").is_visible()
        page.get_by_text("More options").click()
        page.get_by_label("Metric").select_option("volume_24h")
        expect(page.locator("legend")).to_have_text(re.compile("Alert me when.*the 24 h volume"))
        expect(page.get_by_text("the price", exact=True).first).to_be_hidden()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/subscribe", "/"])
def test_form_with_preview_fits_the_screen_with_sufficient_contrast(
    browser: Browser, site: str, viewport: dict[str, int], scheme: str, path: str
) -> None:
    with opened(browser, site + path, viewport=viewport, color_scheme=scheme) as page:
        page.get_by_label("Exchange").select_option("coinbase")
        page.locator("#average_window_seconds").evaluate("select => { select.value = '3600' }")
        for kind in KINDS:
            page.get_by_label(kind).check()
            number = page.locator("#level" if kind == "reaches a price" else "#threshold_percent")
            number.fill("43,000" if kind == "reaches a price" else "0,05")
            page.get_by_role("button", name="How often").click()
            assert "would have fired" in preview_summary(page), kind
            expect(page.locator("#preview-details .marker").first).to_be_visible()
            assert not is_wider_than_screen(page), kind
            assert low_contrasts(page) == [], kind


def test_preview_updates_automatically(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        page.get_by_label("Exchange").select_option("coinbase")
        page.get_by_label("jumps").check()
        page.get_by_label("Change (at least, %)").fill("0,05")
        expect(page.locator("#preview-summary")).to_contain_text("would have fired")
        page.get_by_label("Change (at least, %)").fill("900")
        expect(page.locator("#preview-summary")).to_contain_text("would not have fired")
        page.get_by_label("Change (at least, %)").fill("9000")
        expect(page.locator("#preview-summary")).to_contain_text("Change (at least, %):")
        page.get_by_label("reaches a price").check()
        page.locator("#level").fill("12.34.5")
        expect(page.locator("#preview-summary")).to_contain_text("Level: “12.34.5” is not a number")
        expect(page.locator("#preview-details")).to_be_empty()
        assert page.locator("#preview-summary").get_attribute("role") == "status", "announced by screen readers"


def test_preview_works_without_javascript_and_keeps_values(browser: Browser, site: str, engine: sa.Engine) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        page.get_by_label("Coin").select_option("ETH")
        page.get_by_label("Exchange").select_option("kraken")
        page.get_by_label("moves away from its average").check()
        page.get_by_label("Change (at least, %)").fill("0,1 %")
        page.get_by_label("Average of the last").select_option("3600")
        page.get_by_role("button", name="How often").click()
        assert "would have fired" in preview_summary(page)
        expect(page.locator("#preview-details svg")).to_be_visible()
        page.get_by_label("Email").fill("ada@example.org")
        page.get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
        [created] = list_subscriptions(engine)
        assert (created.base, created.exchange, created.threshold) == ("ETH", "kraken", 0.1)
        assert (created.kind, created.window_seconds) == ("deviation_from_average", 3600)


def test_only_valid_combinations_can_be_chosen(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        currency = page.get_by_label("Currency")
        page.get_by_label("Coin").select_option("BTC")
        expect(currency).to_be_hidden()
        page.get_by_label("Exchange").select_option("kraken")
        expect(currency).to_be_visible()
        currency.select_option("EUR")
        page.get_by_label("Exchange").select_option("coinbase")
        expect(currency).to_be_hidden()
        expect(currency).to_have_value("")


def test_enter_creates_the_alert(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        page.get_by_label("Email").fill("ada@example.org")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()


def test_form_is_keyboard_accessible_with_visible_focus(browser: Browser, site: str) -> None:
    order = ["coin", "exchange", "kind", "threshold_percent", "direction", "change_window_seconds", "cooldown_seconds"]
    order += ["More options", "How often would this have fired?", "email", "Create alert"]
    with opened(browser, f"{site}/subscribe") as page:
        reached: list[str] = []
        while "Create alert" not in reached and len(reached) < 30:
            page.keyboard.press("Tab")
            name, style = page.evaluate(
                "[document.activeElement.name || document.activeElement.textContent.trim(),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            reached.append(name)
            if name != "kind":  # its radio buttons show the outline around their labels
                assert style == "solid", name
        assert reached[0] == "Skip to content"
        assert reached[-len(order) :] == order


def test_values_are_kept_when_going_back(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        page.get_by_label("reaches a price").check()
        page.locator("#level").fill("43,000")
        page.get_by_label("Email").fill("ada@example.org")
        page.locator(".alert-recipient").get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
        page.go_back()
        expect(page.locator("#level")).to_have_value("43,000")
        expect(page.get_by_label("Email")).to_have_value("ada@example.org")


def test_long_input_does_not_break_the_layout(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe", viewport=PHONE) as page:
        number = page.get_by_label("Change (at least, %)")
        number.evaluate("field => { field.maxLength = 9000; field.value = '<b>'.repeat(2000) }")
        page.get_by_role("button", name="How often").click()
        expect(page.locator("#preview-summary")).to_contain_text("is not a number")
        assert not is_wider_than_screen(page)
        page.get_by_label("Email").fill("ada@example.org")
        page.locator(".alert-recipient").get_by_role("button", name="Create alert").click()
        expect(page.locator("#threshold_percent-error")).to_contain_text("is not a number")
        assert not is_wider_than_screen(page)


def test_invalid_field_gets_the_focus(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        fill_in_form(page, percent="a lot")
        expect(page.get_by_label("Change (at least, %)")).to_be_focused()
        expect(page.get_by_label("Email")).to_have_value("ada@example.org")
