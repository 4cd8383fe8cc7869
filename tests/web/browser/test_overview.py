"""The overview in a real browser: live updates, search, sorting, favourites, display currency, exchanges."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from playwright.sync_api import Browser, Locator, Page, expect

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.settings import Settings
from coinwatch.web.stream import hub
from tests.support.ports import free_port
from tests.web.browsing import PHONE, is_wider_than_screen, low_contrasts, opened, serving
from tests.web.seed import seed_market

pytestmark = pytest.mark.browser

UPDATE_LATEST = sa.text("""
  UPDATE latest_quotes SET price = :price, observed_at = :now, received_at = :now
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
  WHERE i.id = latest_quotes.instrument_id AND e.code = :exchange AND i.base = :base AND i.quote = 'USD'
""")
INSERT_EURO = sa.text("""
  INSERT INTO latest_quotes (instrument_id, observed_at, price, received_at)
  SELECT i.id, :now, 40000, :now FROM instruments i WHERE i.base = 'BTC' AND i.quote = 'EUR'
""")


@pytest.fixture(autouse=True)
def _poll_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "POLL_SECONDS", 0.2)


def change_price(engine: sa.Engine, price: float, base: str = "BTC", exchange: str = "index") -> None:
    with engine.begin() as connection:
        connection.execute(
            UPDATE_LATEST, {"price": price, "base": base, "exchange": exchange, "now": datetime.now(UTC)}
        )


def coins(page: Page) -> list[str]:
    """The codes of the coins that are shown, in order."""
    return [body.get_attribute("id") or "" for body in page.locator("#coins > tbody:not([hidden])").all()]


def price(page: Page, coin: str) -> Locator:
    return page.locator(f"#{coin} .price-cell")


def test_prices_changes_and_ages_update_without_reloading(browser: Browser, site: str, engine: sa.Engine) -> None:
    refresh_candles(engine)
    with opened(browser, site, reduced_motion="reduce") as page:  # so that the mark of a change stays
        expect(page.locator("#live")).to_have_text("Live")
        expect(price(page, "BTC")).to_have_text("43,215.12 USD")
        page.get_by_role("link", name="Bitcoin").focus()
        change_price(engine, 50_000.5)
        expect(price(page, "BTC")).to_have_text("50,000.50 USD")
        expect(page.locator("#BTC")).to_have_class("changed")
        expect(page.locator("#BTC td").nth(2)).to_have_class("change up")
        expect(page.locator("#BTC td").nth(2)).to_contain_text(re.compile(r"\+1[78]\.\d\d%"))
        expect(page.locator("#BTC .updated")).to_have_text(re.compile(r"^\d s ago"))
        expect(page.get_by_role("link", name="Bitcoin")).to_be_focused()
        expect(page.locator("#ETH")).not_to_have_class("changed")


def test_page_reports_an_unavailable_server_and_recovers(
    browser: Browser, app: FastAPI, engine: sa.Engine, settings: Settings
) -> None:
    seed_market(engine, settings, datetime.now(UTC))
    port = free_port()
    with opened(browser, "about:blank") as page:
        with serving(app, port) as site:
            page.goto(site)
            expect(page.locator("#live")).to_have_text("Live")
        expect(page.locator("#live")).to_have_text("Reconnecting…")
        expect(page.locator("#live")).to_contain_text(re.compile("Not updated since .*Reconnecting"))
        expect(price(page, "BTC")).to_have_text("43,215.12 USD")
        change_price(engine, 51_000.5)
        with serving(app, port):
            expect(page.locator("#live")).to_have_text("Live")
            expect(price(page, "BTC")).to_have_text("51,000.50 USD"), "what happened in between"
            page.close()


def test_exchange_that_stops_or_recovers_is_shown(browser: Browser, site: str, engine: sa.Engine) -> None:
    with opened(browser, site) as page:
        expect(page.locator("#problems")).to_contain_text("Kraken has no new prices")
        change_price(engine, 43_000.0, exchange="kraken")
        expect(page.locator("#problems")).to_be_empty()
        with engine.begin() as connection:
            values = {"then": datetime.now(UTC) - timedelta(hours=1)}
            connection.execute(
                sa.text("""UPDATE latest_quotes SET observed_at = :then FROM instruments i JOIN exchanges e
                           ON e.id = i.exchange_id WHERE i.id = instrument_id AND e.code = 'coinbase'"""),
                values,
            )
        change_price(engine, 43_001.0)
        expect(page.locator("#problems")).to_contain_text("Coinbase has no new prices. The last price is from")


def test_search_filters_while_typing(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        page.get_by_label("Search coins").fill("COIN")
        expect(page.locator("#found")).to_have_text("2 of 5 coins")
        assert coins(page) == ["BTC", "DOGE"]
        page.reload()
        expect(page.locator("#found")).to_contain_text("2")
        assert coins(page) == ["BTC", "DOGE"]
        page.get_by_label("Search coins").fill("")
        assert len(coins(page)) == 5
        page.get_by_label("Search coins").fill("nothing")
        expect(page.locator("#found")).to_have_text("0 of 5 coins")
        expect(page.locator("#coins")).to_be_hidden()


def test_headings_sort_and_say_so(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        heading = page.get_by_role("columnheader", name="Price")
        page.get_by_role("button", name="Price").click()
        expect(heading).to_have_attribute("aria-sort", "descending")
        assert coins(page) == ["BTC", "ETH", "SOL", "XRP", "DOGE"]
        page.get_by_role("button", name="Price").press("Enter")
        expect(heading).to_have_attribute("aria-sort", "ascending")
        assert coins(page) == ["DOGE", "XRP", "SOL", "ETH", "BTC"]
        expect(page.get_by_role("button", name="Price")).to_be_focused()
        page.reload()
        assert coins(page) == ["DOGE", "XRP", "SOL", "ETH", "BTC"], "the address has the order"
        for name in ("Coin", "1 h", "24 h", "7 d", "24 h volume", "Exchanges", "Updated"):
            page.get_by_role("button", name=name, exact=True).click()
            assert sorted(coins(page)) == ["BTC", "DOGE", "ETH", "SOL", "XRP"]
            expect(page.locator("[aria-sort]")).to_have_count(1)


def test_favourites_come_first_and_are_kept(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        star = page.get_by_role("button", name="Favourite Solana")
        star.click()
        expect(star).to_have_attribute("aria-pressed", "true")
        expect(star).to_be_focused()
        assert coins(page)[0] == "SOL"
        page.reload()
        assert coins(page)[0] == "SOL"
        page.get_by_role("button", name="Coin", exact=True).click()
        assert coins(page) == ["SOL", "BTC", "DOGE", "ETH", "XRP"]
        page.get_by_role("button", name="Favourite Solana").click()
        assert coins(page) == ["BTC", "DOGE", "ETH", "SOL", "XRP"]


def test_display_currency_converts_and_says_so(browser: Browser, site: str, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT_EURO, {"now": datetime.now(UTC)})
    with opened(browser, site) as page:
        choice = page.get_by_label("Show prices in")
        choice.select_option("EUR")
        expect(price(page, "BTC")).to_have_text("40,000.00 EUR")
        expect(page.locator("#converted")).to_contain_text(
            "Converted to EUR at 1.08038 US dollars (BTC/USD divided by BTC/EUR"
        )
        page.reload()
        expect(price(page, "BTC")).to_have_text("40,000.00 EUR")
        choice.select_option("BTC")
        expect(price(page, "BTC")).to_have_text("1.00 BTC")
        expect(price(page, "ETH")).to_have_text("0.0542791 BTC")
        change_price(engine, 2345.678 * 2, "ETH")
        expect(price(page, "ETH")).to_have_text("0.108558 BTC")
        choice.select_option("")
        expect(price(page, "ETH")).to_have_text("4,691.36 USD")
        expect(page.locator("#converted")).to_be_hidden()


def test_exchanges_of_a_coin_open_and_close(browser: Browser, site: str) -> None:
    with opened(browser, site) as page:
        button = page.get_by_role("button", name="3 exchanges of Bitcoin")
        button.click()
        expect(button).to_have_attribute("aria-expanded", "true")
        expect(page.locator("#BTC .exchanges")).to_contain_text("Coinbase")
        expect(page.locator("[data-instrument='coinbase:BTC/USD']")).to_contain_text("43,219.45")
        button.click()
        expect(page.locator("#BTC .exchanges")).to_have_count(0)
        page.route("**/prices/*", lambda route: route.abort())
        button.click()
        expect(page.locator("#BTC .warning")).to_contain_text("can't be loaded")


def test_numbers_and_times_are_the_readers(browser: Browser, site: str) -> None:
    with opened(browser, site, locale="de-DE", timezone_id="Asia/Tokyo") as page:
        expect(price(page, "BTC")).to_have_text("43.215,12 USD")
        expect(page.locator("#problems time")).to_contain_text("GMT+9")


def test_overview_works_without_javascript(browser: Browser, site: str) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        expect(page.locator("#live")).to_contain_text("reload to update")
        page.get_by_role("link", name="Price").click()
        expect(page.get_by_role("columnheader", name="Price")).to_have_attribute("aria-sort", "descending")
        page.get_by_label("Search coins").fill("coin")
        page.get_by_role("button", name="Search").click()
        assert coins(page) == ["BTC", "DOGE"]
        page.get_by_role("link", name="3 exchanges of Bitcoin").click()
        expect(page.locator("#BTC .exchanges")).to_contain_text("Coinbase")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opened_exchanges_fit_a_phone_with_sufficient_contrast(browser: Browser, site: str, scheme: str) -> None:
    with opened(browser, site, viewport=PHONE, color_scheme=scheme) as page:
        page.get_by_role("button", name="3 exchanges of Bitcoin").click()
        expect(page.locator("#BTC .exchanges")).to_be_visible()
        assert not is_wider_than_screen(page)
        assert low_contrasts(page) == []


def test_hidden_page_closes_its_stream(browser: Browser, site: str, app: FastAPI, engine: sa.Engine) -> None:
    hide = """(hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    connections = app.state.site.connections
    with opened(browser, site) as page:
        expect(page.locator("#live")).to_have_text("Live")
        assert connections._open.total() == 1
        page.evaluate(hide, True)
        for _ in range(100):
            if connections._open.total() == 0:
                break
            page.wait_for_timeout(100)
        assert connections._open.total() == 0
        change_price(engine, 52_000.5)
        page.evaluate(hide, False)
        expect(price(page, "BTC")).to_have_text("52,000.50 USD")
