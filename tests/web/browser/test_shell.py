"""What all pages share: the theme, times in the reader's time zone, numbers in the reader's locale."""

import random
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from coinwatch.formatting import format_age, format_amount, format_percent, format_price
from tests.web.browsing import opened

pytestmark = pytest.mark.browser

IMPORTED = """async ([name, values]) => {
  const folder = document.querySelector("script[src$='numbers.js']").src.replace("numbers.js", "");
  const module = {...await import(folder + "numbers.js"), ...await import(folder + "times.js")};
  return values.map((value) => module[name](value));
}"""


def formatted(page: Page, function: str, values: list[float]) -> list[str]:
    """What a function of numbers.js or times.js returns for each of the values."""
    return list(page.evaluate(IMPORTED, [function, values]))


def theme_of(page: Page) -> str:
    return str(
        page.evaluate("getComputedStyle(document.body).backgroundColor === 'rgb(18, 23, 28)' ? 'dark' : 'light'")
    )


def test_scripts_format_numbers_and_ages_like_the_server(browser: Browser, site: str) -> None:
    randoms = random.Random(7)
    values = [randoms.uniform(-1, 1) * 10 ** randoms.randint(-9, 9) for _ in range(300)]
    prices = [94197.123, 70000, 105.5, 2.345678, 0.00000123, 1.0, 1234.5, 0.0, *map(abs, values)]
    percents = [0.0, 5.0, -0.354, -0.0004, 0.00001, 2.5, 1250.0, -100.0, *values]
    ages = [0, 12, 59.9, 200, 3600, 5 * 3600, 172_800]
    with opened(browser, f"{site}/docs", locale="en-US") as page:
        assert formatted(page, "formatPrice", prices) == [format_price(price) for price in prices]
        assert formatted(page, "formatAmount", prices) == [format_amount(price) for price in prices]
        assert formatted(page, "formatPercent", percents) == [format_percent(percent) for percent in percents]
        signed = [format_percent(percent, signed=True) for percent in percents]
        assert formatted(page, "formatChange", percents) == signed
        assert formatted(page, "formatAge", ages) == [format_age(age) for age in ages]


def test_numbers_are_in_the_readers_locale(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/docs", locale="de-DE") as page:
        assert formatted(page, "formatPrice", [94197.123, 0.5]) == ["94.197,12", "0,50"]
        assert formatted(page, "formatChange", [-1.5]) == ["-1,50\N{NO-BREAK SPACE}%"]


def test_times_are_in_the_readers_time_zone(browser: Browser, site: str) -> None:
    added = """() => document.querySelector("main").insertAdjacentHTML("beforeend",
      '<p id="added"><time datetime="2026-11-20T15:04:05Z" data-format="seconds">2026-11-20 15:04:05 UTC</time>'
      + '<b data-time-zone>UTC</b> <i><time datetime="2026-11-20T03:04:05Z" data-age>x</time></i></p>')"""
    with opened(browser, f"{site}/docs", timezone_id="Asia/Tokyo", locale="en-GB") as page:
        page.evaluate(added)
        expect(page.locator("#added [data-format]")).to_have_text("21 Nov 2026, 00:04:05 GMT+9")
        expect(page.locator("#added [data-format]")).to_have_attribute("title", "2026-11-20 15:04:05 UTC")
        expect(page.locator("#added [data-time-zone]")).to_have_text("Asia/Tokyo")
        age = page.locator("#added [data-age]")
        expect(age).to_have_text(format_age(datetime.now(UTC) - datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)))
        expect(age).to_have_attribute("title", "2026-11-20 03:04:05 UTC\n20 Nov 2026, 12:04:05 GMT+9")
        expect(page.locator("footer")).to_contain_text("Asia/Tokyo")


@pytest.mark.parametrize("system", ["light", "dark"])
def test_theme_is_chosen_and_kept(browser: Browser, site: str, system: str) -> None:
    other = "dark" if system == "light" else "light"
    with opened(browser, f"{site}/docs", color_scheme=system) as page:
        assert theme_of(page) == system
        page.get_by_label("Theme").select_option(other)
        assert theme_of(page) == other
        page.goto(f"{site}/subscribe")
        assert theme_of(page) == other
        expect(page.get_by_label("Theme")).to_have_value(other)
        page.get_by_label("Theme").select_option("System")
        assert theme_of(page) == system
        page.emulate_media(color_scheme=other)
        assert theme_of(page) == other


def test_theme_of_other_tabs_changes_too(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/docs", color_scheme="light") as page:
        second = page.context.new_page()
        second.goto(f"{site}/docs")
        page.get_by_label("Theme").select_option("dark")
        expect(second.get_by_label("Theme")).to_have_value("dark")
        assert theme_of(second) == "dark"


def test_theme_is_not_offered_without_scripts(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/docs", java_script_enabled=False) as page:
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        expect(page.locator("#theme")).to_be_hidden()
