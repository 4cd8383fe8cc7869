"""The app served alone in a real browser: desktop and phone, with and without JavaScript, light and dark."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import list_subscriptions, subscribe
from coinwatch.mail.links import confirmation_link, unsubscribe_link
from coinwatch.settings import Settings
from coinwatch.web.access import identify_by_token
from coinwatch.web.website import HERE
from tests.support.browser import chromium
from tests.support.ports import free_port
from tests.web.seed import INSERT, REMEMBER_LATEST, seed_market

pytestmark = pytest.mark.browser

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
# WCAG 2.1: contrast of every text with the nearest background that is not see-through.
CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.tagName === "NOSCRIPT") continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(element.ownerSVGElement ? style.fill : style.color)), light(ground(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


MARK_HOLE = sa.text("""
  INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, reason, found_at)
  SELECT i.id, :day, :start, :end, 'unavailable', 'Coinbase keeps nothing for ever', :end
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = 'coinbase' AND i.base = 'BTC'
""")
# How many pixels of the line's colour stand in columns of the plot, given as parts of its width.
LINE_IN_COLUMNS = """(parts) => {
  const canvas = document.querySelector("#chart canvas");
  const outer = canvas.getBoundingClientRect();
  const plot = document.querySelector("#chart .u-over").getBoundingClientRect();
  const scale = canvas.width / outer.width;
  const line = getComputedStyle(document.getElementById("chart")).color.match(/\\d+/g).map(Number);
  return parts.map((part) => {
    const across = Math.round((plot.left - outer.left + plot.width * part) * scale);
    const top = Math.round((plot.top - outer.top) * scale);
    const { data } = canvas.getContext("2d").getImageData(across, top, 1, Math.round(plot.height * scale));
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
      found += line.every((channel, index) => Math.abs(channel - data[at + index]) < 40) ? 1 : 0;
    }
    return found;
  });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", autouse=True)
def _assets() -> None:
    subprocess.run([HERE / "build_assets.sh"], check=True)


@contextmanager
def serving(app: FastAPI, port: int) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def app(make_app: Callable[..., FastAPI], settings: Settings) -> FastAPI:
    return make_app(identify_by_token(lambda: settings), clock=lambda: datetime.now(UTC))


@pytest.fixture
def site(app: FastAPI, engine: sa.Engine, settings: Settings) -> Iterator[str]:
    """The address of a served app with prices up to now."""
    seed_market(engine, settings, datetime.now(UTC))
    with serving(app, free_port()) as address:
        yield address


@contextmanager
def opened(browser: Browser, url: str, **options: object) -> Iterator[Page]:
    """A page that must not log an error."""
    context = browser.new_context(**({"viewport": DESKTOP} | options))  # type: ignore[arg-type]
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Security Policy" in message.text else None)
    page.goto(url)
    yield page
    context.close()
    assert errors == []


def fill_form(page: Page, percent: str = "2.5", email: str = "ada@example.org") -> None:
    page.get_by_label("Coin").select_option("BTC")
    page.get_by_label("Price at").select_option("kraken")
    page.get_by_label("Which way").select_option("down")
    page.get_by_label("By at least (%)").fill(percent)
    page.get_by_label("Mail to").fill(email)
    page.get_by_role("button", name="Create alert").click()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_person_subscribes_confirms_and_ends_it(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, viewport: dict[str, int]
) -> None:
    with opened(browser, site, viewport=viewport) as page:
        fill_form(page)
        expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
        [made] = list_subscriptions(engine)
        assert (made.exchange, made.direction, made.threshold, made.status) == ("kraken", "down", 2.5, "pending")

        page.goto(confirmation_link(settings, made.id).replace(settings.public_url, site))
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("heading", name="Alert confirmed")).to_be_visible()
        assert list_subscriptions(engine)[0].status == "active"

        page.goto(unsubscribe_link(settings, [made.id]).replace(settings.public_url, site))
        page.get_by_role("button", name="End it").click()
        expect(page.get_by_role("heading", name="Alert ended")).to_be_visible()
        assert list_subscriptions(engine)[0].status == "unsubscribed"


def test_everything_works_without_javascript(browser: Browser, site: str, engine: sa.Engine) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        page.get_by_role("link", name="Bitcoin").click()
        expect(page.locator("#chart polyline")).to_be_visible()
        page.get_by_label("Price at").select_option("kraken:USD")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_label("Price at")).to_have_value("kraken:USD")
        page.get_by_role("link", name="1 hour").click()
        expect(page.locator(".segments [aria-current]")).to_have_text("1 hour")
        page.get_by_role("link", name="New alert").click()
        fill_form(page, percent="a lot")
        expect(page.locator("#threshold_percent-problem")).to_contain_text("not a number")
        fill_form(page)
        expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
        assert len(list_subscriptions(engine)) == 1


def test_prices_update_by_themselves_and_ages_count_on(browser: Browser, site: str, engine: sa.Engine) -> None:
    row = "[data-instrument='coinbase:BTC/USD']"
    with opened(browser, "about:blank") as page:
        page.clock.install()
        page.goto(site)
        expect(page.locator(f"{row} .price")).to_contain_text("43,219.45")
        before = page.locator(f"{row} time").text_content()
        page.clock.run_for(3000)
        assert page.locator(f"{row} time").text_content() != before
        page.get_by_role("link", name="Coinbase").first.focus()
        with engine.begin() as connection:
            now = datetime.now(UTC)
            values = {"exchange": "coinbase", "base": "BTC", "observed_at": now, "price": 50_000.5}
            connection.execute(INSERT, values | {"volume": None, "bid": None, "ask": None})
            connection.execute(REMEMBER_LATEST)
        page.clock.run_for(15_000)
        expect(page.locator(f"{row} .price")).to_contain_text("50,000.50")
        expect(page.locator(row)).to_have_class("fresh")
        expect(page.get_by_role("link", name="Coinbase").first).to_be_focused()


def test_the_page_says_when_the_server_is_away_and_recovers(
    browser: Browser, app: FastAPI, engine: sa.Engine, settings: Settings
) -> None:
    seed_market(engine, settings, datetime.now(UTC))
    port = free_port()
    with opened(browser, "about:blank") as page:
        page.clock.install()
        with serving(app, port) as site:
            page.goto(site)
            expect(page.locator("#freshness")).to_contain_text("updates by itself")
        page.clock.run_for(16_000)
        expect(page.locator("#freshness")).to_contain_text("the server does not answer")
        expect(page.locator("#freshness")).to_contain_text("Not updated since")
        expect(page.locator("[data-instrument]").first).to_be_visible()
        with serving(app, port):
            page.clock.run_for(16_000)
            expect(page.locator("#freshness")).to_contain_text("updates by itself")


def test_the_chart_can_be_pointed_at(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/coins/BTC?exchange=coinbase") as page:
        plot = page.locator("#chart .u-over")
        expect(plot).to_be_visible()
        newest = page.locator(".u-legend .u-value").nth(1)
        expect(newest).to_have_text("43,219.45")
        plot.hover(position={"x": 20, "y": 50})
        expect(newest).not_to_have_text("43,219.45")
        page.get_by_label("Price at").select_option("kraken:USD")
        expect(page).to_have_url(f"{site}/coins/BTC?exchange=kraken%3AUSD&range=24h")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_line_is_drawn_over_a_hole(browser: Browser, site: str, engine: sa.Engine, viewport: dict[str, int]) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    cut_out = {"start": now - timedelta(hours=9), "end": now - timedelta(hours=3)}
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM prices WHERE observed_at BETWEEN :start AND :end"), cut_out)
        connection.execute(MARK_HOLE, cut_out | {"day": cut_out["start"].date()})
    with opened(browser, f"{site}/coins/BTC?exchange=coinbase", viewport=viewport) as page:
        expect(page.locator("#chart .u-over")).to_be_visible()
        expect(page.locator(".holes li")).to_contain_text("UTC: Coinbase keeps nothing for ever.")
        middle_of_hole, elsewhere = page.evaluate(LINE_IN_COLUMNS, [1 - 6 / 24, 1 - 12 / 24])
        assert middle_of_hole == 0
        assert elsewhere > 0
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    with opened(browser, f"{site}/coins/BTC?exchange=coinbase", java_script_enabled=False) as page:
        expect(page.locator("#chart polyline")).to_have_count(2)


def test_times_tell_the_readers_own_zone(browser: Browser, site: str) -> None:
    with opened(browser, site, timezone_id="Asia/Tokyo", locale="en-GB") as page:
        time = page.locator("[data-instrument='coinbase:BTC/USD'] time")
        tokyo = datetime.fromisoformat(str(time.get_attribute("datetime"))) + timedelta(hours=9)
        expect(time).to_have_attribute("title", f"{time.get_attribute('title')}")
        assert "UTC\n" in str(time.get_attribute("title"))
        assert f"{tokyo:%H:%M:%S} GMT+9" in str(time.get_attribute("title"))


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_its_screen_and_can_be_read(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, viewport: dict[str, int], scheme: str
) -> None:
    made = subscribe(
        engine, email="ada@example.org", coin="BTC", rule=Rule(threshold=2), now=datetime.now(UTC), confirmed=False
    )
    links = [confirmation_link(settings, made.id), unsubscribe_link(settings, [made.id])]
    paths = ["/", "/coins", "/coins?coin=nope", "/coins/BTC?exchange=coinbase", "/coins/BTC?exchange=kraken:EUR"]
    paths += ["/subscribe", "/docs", "/nothing", *(link.removeprefix(settings.public_url) for link in links)]
    with opened(browser, site, viewport=viewport, color_scheme=scheme) as page:
        for path in paths:
            page.goto(site + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
            texts = page.evaluate(CONTRASTS)
            assert len(texts) > 5
            assert [text for text in texts if text[0] < 4.5] == [], path


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        reached = []
        for _ in range(12):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "[document.activeElement.textContent.trim().split('\\n')[0] || document.activeElement.name,"
                " document.activeElement.name, getComputedStyle(document.activeElement).outlineStyle]"
            )
            reached.append(focused[1] or focused[0])
            assert focused[2] == "solid", focused
        assert reached[0] == "Skip to the content"
        assert reached[-6:] == ["coin", "exchange", "direction", "threshold_percent", "email", "Create alert"]


def test_a_mistake_gets_the_focus(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}/subscribe") as page:
        fill_form(page, percent="a lot")
        expect(page.get_by_label("By at least (%)")).to_be_focused()
        expect(page.get_by_label("Mail to")).to_have_value("ada@example.org")
