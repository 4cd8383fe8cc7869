"""The alert form in a real browser: every kind of rule, and its preview."""

import json
import re
from datetime import UTC, datetime

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
from tests.web.subscribing import add_subscription, sign_in_browser

pytestmark = pytest.mark.browser

KINDS = {
    "moves by a percentage": {"threshold_percent", "direction", "change_window_seconds", "ladder_percent"},
    "reaches a price": {"level", "direction", "ladder_percent"},
    "moves away from its average": {"threshold_percent", "direction", "average_window_seconds"},
    "jumps between two updates": {"threshold_percent", "direction"},
    "reaches a new high": {"period", "margin_percent"},
    "reaches a new low": {"period", "margin_percent"},
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
def test_form_with_preview_fits_the_screen_with_sufficient_contrast(
    browser: Browser, site: str, viewport: dict[str, int], scheme: str
) -> None:
    with opened(browser, f"{site}/subscribe", viewport=viewport, color_scheme=scheme) as page:
        page.get_by_label("Exchange").select_option("coinbase")
        page.locator("#average_window_seconds").evaluate("select => { select.value = '3600' }")
        for kind, fields in KINDS.items():
            page.get_by_label(kind).check()
            field = next(name for name in ("level", "margin_percent", "threshold_percent") if name in fields)
            page.locator(f"#{field}").fill({"level": "43,000", "margin_percent": ""}.get(field, "0,05"))
            if "period" in fields:
                page.locator("#period").select_option("24h")
            page.get_by_role("button", name="How often").click()
            assert re.search("would (not )?have fired", preview_summary(page)), kind
            expect(page.locator("#preview-details .chart-plot canvas").first).to_be_visible()
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


def test_preview_is_drawn_on_the_chart_while_typing(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe?coin=BTC&exchange=coinbase") as page:
        assert "BTC is" in preview_summary(page), "there is a preview right away"
        page.get_by_label("reaches a price").check()
        page.locator("#level").fill("42,000")
        expect(page.locator("#preview-summary")).to_contain_text("above your level")
        data = json.loads(page.locator("#preview-data").inner_html())
        assert data["levels"] == [{"value": 42_000, "label": "Level"}]
        assert len(data["times"]) == len(data["values"]) > 50
        assert {marker["direction"] for marker in data["markers"]} <= {"up", "down"}
        chart = page.get_by_role("application")
        expect(chart).to_have_attribute("aria-label", re.compile("Price of BTC, with a dot at each alert"))
        expect(page.locator("#preview-details svg")).to_have_count(0)
        expect(page.get_by_role("link", name="Charts by TradingView")).to_be_visible()
        page.locator("#level").fill("42,001")
        expect(page.locator("#preview-summary")).to_contain_text("42,001.00")
        assert '"value": 42001' in page.locator("#preview-data").inner_html()
        expect(page.locator(".chart-plot")).to_have_count(1)


def test_condition_that_is_true_already_is_announced(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe?coin=BTC&exchange=coinbase") as page:
        page.get_by_label("reaches a price").check()
        page.get_by_label("Direction").select_option("up")
        page.locator("#level").fill("42,000")
        message = page.locator("#preview-summary .warning")
        expect(message).to_contain_text("This is already true: BTC is")
        expect(message).to_contain_text("the next time it rises to it")


def test_time_zone_of_the_browser_is_saved(browser: Browser, site: str, engine: sa.Engine) -> None:
    with opened(browser, f"{site}/subscribe", timezone_id="Asia/Kolkata") as page:
        fill_in_form(page)
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT timezone FROM users")).scalar_one() in {
            "Asia/Kolkata",
            "Asia/Calcutta",
        }


@pytest.mark.parametrize("javascript", [True, False], ids=["with", "without"])
def test_signed_in_subscriber_duplicates_and_edits_an_alert(
    browser: Browser, site: str, engine: sa.Engine, javascript: bool
) -> None:
    added = add_subscription(engine, kind="crosses", threshold=50_000.0, now=datetime.now(UTC))
    with opened(browser, site, java_script_enabled=javascript) as page:
        sign_in_browser(page, engine, site)
        page.goto(f"{site}/account/alerts/{added.id}")
        page.get_by_role("link", name="Duplicate this alert").click()
        expect(page.get_by_label("Email")).to_have_value("ada@example.org")
        expect(page.get_by_label("Email")).not_to_be_editable()
        page.locator("#level").fill("60000")
        page.locator(".alert-recipient").get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("heading", name="Alert created")).to_be_visible()
        page.goto(f"{site}/account/alerts/{added.id}")
        page.get_by_label("Coin").select_option("ETH")
        page.get_by_label("moves by a percentage").check()
        page.get_by_role("button", name="How often").click()
        expect(page.locator("#preview-summary")).to_contain_text("ETH is")
        page.locator(".alert-recipient").get_by_role("button", name="Save").click()
        expect(page.locator(f"#alert-{added.id}")).to_contain_text("the price moves by 5% or more within 1 hour")
    edited, created = list_subscriptions(engine)
    assert (edited.base, edited.kind, edited.status) == ("ETH", "change_over_window", "active")
    assert (created.threshold, created.status) == (60_000, "active")


@pytest.mark.parametrize("javascript", [True, False], ids=["with", "without"])
def test_alerts_are_created_from_a_file(browser: Browser, site: str, engine: sa.Engine, javascript: bool) -> None:
    content = "coin;kind;level;window\r\nBTC;crosses;45.000,00;\r\nETH;crosses;abc;\r\n"
    with opened(browser, f"{site}/subscribe/bulk", viewport=PHONE, java_script_enabled=javascript) as page:
        file = {"name": "alerts.csv", "mimeType": "text/csv", "buffer": content.encode("utf-8-sig")}
        page.get_by_label("CSV file", exact=True).set_input_files(file)  # type: ignore[arg-type]
        page.get_by_role("button", name="Check the file").click()
        expect(page.get_by_role("row", name=re.compile("3 level"))).to_contain_text("is not a number")
        expect(page.get_by_role("alert")).to_be_focused()
        assert not is_wider_than_screen(page)
        text = page.get_by_label("or paste its text")
        text.fill(text.input_value().replace("abc", "4.000,00"))
        page.get_by_role("button", name="Check the file").click()
        expect(page.get_by_role("row", name=re.compile("ETH.USD"))).to_contain_text("the price reaches 4,000.00 USD")
        assert not is_wider_than_screen(page)
        assert low_contrasts(page) == []
        page.get_by_label("Email").fill("ada@example.org")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
    assert [(found.base, found.threshold) for found in list_subscriptions(engine)] == [("BTC", 45_000), ("ETH", 4000)]


def test_preview_works_without_javascript_and_keeps_values(browser: Browser, site: str, engine: sa.Engine) -> None:
    with opened(browser, f"{site}/subscribe", java_script_enabled=False) as page:
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
    order = ["coin", "exchange", "kind", "threshold_percent", "direction", "change_window_seconds", "ladder_percent"]
    order += [
        "cooldown_seconds",
        "More options",
        "How often would this have fired?",
        "chart",
        "Charts by TradingView",
        "email",
        "Create alert",
    ]
    with opened(browser, f"{site}/subscribe?coin=BTC") as page:
        preview_summary(page)
        reached: list[str] = []
        while "Create alert" not in reached and len(reached) < 30:
            page.keyboard.press("Tab")
            name, style = page.evaluate(
                "[document.activeElement.name || document.activeElement.ariaRoleDescription"
                " || document.activeElement.textContent.trim(),"
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
