"""The coin page in a browser: an interactive chart, and changes without loading the page."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.web.stream import hub
from tests.web.browsing import DESKTOP, PHONE, is_wider_than_screen, low_contrasts, opened
from tests.web.seed import INSERT_STALE_CANDLES

pytestmark = pytest.mark.browser

INSERT_GAP = sa.text("""
  INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at)
  SELECT i.id, :day, :start, :end, 'unavailable', 'Coinbase has no candles for this time', :end
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = 'coinbase' AND i.base = 'BTC'
""")
# Number of pixels in the color of the line, in columns at the given fractions of the plot's width.
LINE_PIXELS = """(parts) => {
  const canvas = document.querySelector("#chart td:nth-child(2) canvas");
  const probe = document.createElement("span");
  probe.style.color = "var(--accent)";
  document.body.append(probe);
  const line = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
  return parts.map((part) => {
    const across = Math.round(canvas.width * part);
    const { data } = canvas.getContext("2d").getImageData(across, 0, 1, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
      found += line.every((channel, index) => Math.abs(channel - data[at + index]) < 40) ? 1 : 0;
    }
    return found;
  });
}"""
NEW_PRICE = sa.text("""
  UPDATE latest_quotes SET price = 50000.5, observed_at = :now, received_at = :now
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
  WHERE i.id = latest_quotes.instrument_id AND e.code = 'index' AND i.base = 'BTC' AND i.quote = 'USD'
""")
COINBASE = "/coins/BTC?exchange=coinbase"


def shown(page: Page, key: str) -> Any:
    return page.locator(f"#chart [data-key='{key}'] .chart-value")


def data_of(page: Page) -> Any:
    return json.loads(page.locator("#chart-data").text_content() or "")


def newest(values: list[float | None]) -> float:
    return [value for value in values if value is not None][-1]


def plain(number: float) -> str:
    return f"{number:,.2f}"


def test_new_price_is_shown_without_reloading(
    browser: Browser, site: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "POLL_SECONDS", 0.2)
    with opened(browser, f"{site}/coins/BTC?range=7d") as page:
        expect(page.locator("#view dd").first).to_contain_text("43,215.12 USD")
        page.get_by_label("7 days").focus()
        with engine.begin() as connection:
            connection.execute(NEW_PRICE, {"now": datetime.now(UTC)})
        expect(page.locator("#view dd").first).to_contain_text("50,000.50 USD")
        expect(page.get_by_label("7 days")).to_be_focused()
        assert page.url.endswith("/coins/BTC?range=7d")


def test_view_of_a_fixed_time_is_left_alone(
    browser: Browser, site: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "POLL_SECONDS", 0.2)
    start = (datetime.now(UTC) - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%MZ")
    with (
        opened(browser, f"{site}/coins/BTC?range=custom&start={start}") as page,
        opened(browser, f"{site}/coins/BTC") as other,
    ):
        with engine.begin() as connection:
            connection.execute(NEW_PRICE, {"now": datetime.now(UTC)})
        expect(other.locator("#view dd").first).to_contain_text("50,000.50 USD")
        expect(page.locator("#view dd").first).to_contain_text("43,215.12 USD")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_legend_shows_the_newest_candle_and_the_one_at_the_pointer(
    browser: Browser, site: str, viewport: dict[str, int]
) -> None:
    with opened(browser, site + COINBASE, viewport=viewport, locale="en-US") as page:
        data = data_of(page)
        for key in ("open", "high", "low", "close"):
            expect(shown(page, key)).to_have_text(plain(newest(data[key])))
        page.locator("#chart .chart-plot").hover(position={"x": 1, "y": 100})
        for key in ("open", "high", "low", "close"):
            expect(shown(page, key)).to_have_text(plain(data[key][0]))
        assert not is_wider_than_screen(page)


def test_chart_is_read_with_the_keyboard(browser: Browser, site: str) -> None:
    with opened(browser, site + COINBASE, locale="en-US", timezone_id="Asia/Tokyo") as page:
        data = data_of(page)
        chart = page.get_by_role("application")
        chart.focus()
        chart.press("ArrowLeft")
        chart.press("ArrowLeft")
        expect(shown(page, "close")).to_have_text(plain(data["close"][-2]))
        expect(page.locator("#chart [aria-live]")).to_contain_text(plain(data["close"][-2]))
        local = datetime.fromtimestamp(data["times"][-2], UTC) + timedelta(hours=9)
        expect(page.locator("#chart .chart-time")).to_contain_text(f"{local:%b} {local.day}, {local.year}")
        expect(page.locator("#chart .chart-time")).to_contain_text("GMT+9")
        chart.press("Home")
        expect(shown(page, "close")).to_have_text(plain(data["close"][0]))
        chart.press("Escape")
        expect(shown(page, "close")).to_have_text(plain(newest(data["close"])))


def test_changes_keep_the_page_and_their_address_reproduces_them(browser: Browser, site: str) -> None:
    with opened(browser, site + COINBASE, locale="en-US") as page:
        page.evaluate("window.samePage = true")
        page.get_by_role("link", name="1 hour").click()
        expect(page).to_have_url(re.compile("range=1h"))
        page.get_by_role("link", name="Line").click()
        expect(page).to_have_url(re.compile("type=line"))
        page.get_by_text("Moving averages").click()
        page.get_by_label("SMA 20", exact=True).check()
        expect(page).to_have_url(re.compile("ma=20"))
        expect(page.get_by_label("SMA 20", exact=True), "the open panel and the focus stay").to_be_focused()
        page.get_by_label("Exchange", exact=True).select_option("kraken:USD")
        expect(page).to_have_url(re.compile("exchange=kraken:USD|exchange=kraken%3AUSD"))
        expect(page.locator(".figures")).to_contain_text("Price · Kraken")
        assert page.evaluate("window.samePage")
        legend, address = page.locator(".chart-legend").inner_text(), page.url
        assert "SMA 20" in legend
        page.goto("about:blank")
        page.goto(address)
        expect(page.locator(".chart-legend")).to_have_text(re.compile(r"SMA 20"))
        assert page.locator(".chart-legend").inner_text() == legend


def test_exchanges_are_compared_in_percent_with_their_spread(browser: Browser, site: str) -> None:
    with opened(browser, site + COINBASE, locale="en-US") as page:
        page.locator("summary", has_text="Compare").click()
        page.get_by_label("Kraken, USD").check()
        expect(shown(page, "kraken:USD")).to_have_text(re.compile(r"^[+-]?\d+\.\d\d%$"))
        expect(shown(page, "coinbase:USD")).to_have_text(re.compile("%$"))
        expect(shown(page, "spread")).to_have_text(re.compile("%$"))
        expect(page.get_by_role("table", name=re.compile("Change since"))).to_contain_text("Kraken, USD")
        page.get_by_role("link", name="Candles").click()
        expect(shown(page, "open")).to_be_visible()


def test_custom_range_is_in_the_readers_time_zone(browser: Browser, site: str) -> None:
    with opened(browser, site + COINBASE, timezone_id="America/New_York") as page:
        page.get_by_text("Custom range").click()
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
        local = page.evaluate("seconds => new Date(seconds * 1000).toLocaleString('sv')", start.timestamp())
        later = page.evaluate("seconds => new Date(seconds * 1000).toLocaleString('sv')", start.timestamp() + 7200)
        page.get_by_label("From (America/New York)").fill(local.replace(" ", "T")[:16])
        page.get_by_label("To (America/New York)").fill(later.replace(" ", "T")[:16])
        page.get_by_role("button", name="Show this range").click()
        expect(page).to_have_url(re.compile("range=custom"))
        times = data_of(page)["times"]
        assert times[0] == start.timestamp()
        assert times[-1] == start.timestamp() + 7200 - 900
        page.get_by_label("From (America/New York)").fill(later.replace(" ", "T")[:16])
        page.get_by_role("button", name="Show this range").click()
        expect(page.locator("#end-error")).to_have_text("The end must be after the start.")
        expect(page.get_by_label("To (America/New York)"), "what was entered").to_have_value(
            later.replace(" ", "T")[:16]
        )


def test_zoomed_range_can_be_shown_in_detail_and_reset(browser: Browser, site: str) -> None:
    with opened(browser, site + COINBASE) as page:
        chart = page.get_by_role("application")
        expect(page.locator("#zoomed")).to_be_hidden()
        chart.press("+")
        expect(page.locator("#zoomed")).to_be_visible()
        page.get_by_role("button", name="Show everything").click()
        expect(page.locator("#zoomed")).to_be_hidden()
        whole = data_of(page)["times"]
        chart.press("+")
        page.get_by_role("button", name="Show this range in detail").click()
        expect(page).to_have_url(re.compile("range=custom"))
        times = data_of(page)["times"]
        assert whole[0] < times[0] < times[-1] < whole[-1]


def test_link_to_the_view_is_copied(browser: Browser, site: str) -> None:
    with opened(browser, site + COINBASE, permissions=["clipboard-read", "clipboard-write"]) as page:
        before = data_of(page)
        page.get_by_role("link", name="Copy link").click()
        expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        page.goto(copied)
        assert data_of(page)["times"] == before["times"]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_line_is_drawn_across_a_gap(
    browser: Browser, site: str, engine: sa.Engine, viewport: dict[str, int]
) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    gap = {"start": now - timedelta(hours=9), "end": now - timedelta(hours=3)}
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM prices WHERE observed_at BETWEEN :start AND :end"), gap)
        connection.execute(sa.text("DELETE FROM candles"))
        connection.execute(INSERT_STALE_CANDLES)
        connection.execute(INSERT_GAP, gap | {"day": gap["start"].date()})
    refresh_candles(engine)
    with opened(browser, f"{site}{COINBASE}&type=line", viewport=viewport) as page:
        expect(page.locator("#chart .chart-plot canvas").first).to_be_visible()
        expect(page.locator(".gaps li")).to_contain_text("UTC: Coinbase has no candles for this time.")
        page.wait_for_timeout(300)  # the canvas is drawn in an animation frame
        in_gap, elsewhere = page.evaluate(LINE_PIXELS, [1 - 6 / 24, 1 - 12 / 24])
        assert in_gap == 0
        assert elsewhere > 0
        page.locator("#chart .chart-plot").hover(position={"x": (viewport["width"] - 120) * 0.72, "y": 100})
        expect(page.locator("#chart .chart-note")).to_have_text("Coinbase has no candles for this time")
        assert not is_wider_than_screen(page)
    with opened(browser, f"{site}{COINBASE}&type=line", java_script_enabled=False) as page:
        expect(page.locator("#chart polyline")).to_have_count(2)


def test_page_that_cannot_be_loaded_is_reported_and_the_old_view_stays(browser: Browser, site: str) -> None:
    with opened(browser, site + COINBASE) as page:
        page.route("**/coins/**", lambda route: route.abort())
        page.get_by_role("link", name="1 hour").click()
        expect(page.get_by_role("alert")).to_contain_text("couldn't be loaded. Check your connection")
        expect(page.locator(".chart-legend")).to_be_visible()
        assert "range=1h" not in page.url
        page.unroute("**/coins/**")
        page.get_by_role("link", name="1 hour").click()
        expect(page).to_have_url(re.compile("range=1h"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_views_are_accessible(browser: Browser, site: str, viewport: dict[str, int], scheme: str) -> None:
    queries = ["", "&compare=kraken,index&ma=20", "&range=custom&start=nope&ma=1", "&exchange=kraken:EUR"]
    with opened(browser, site, viewport=viewport, color_scheme=scheme) as page:
        for query in queries:
            page.goto(f"{site}{COINBASE}{query}")
            for summary in page.locator("summary").all():
                if summary.locator("..").get_attribute("open") is None:
                    summary.click()
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert low_contrasts(page) == [], query
            assert not is_wider_than_screen(page), query


def test_views_work_without_javascript(browser: Browser, site: str) -> None:
    with opened(browser, site + COINBASE, java_script_enabled=False) as page:
        page.locator("summary", has_text="Compare").click()
        page.get_by_label("Kraken, USD").check()
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("#chart polyline")).to_have_count(2)
        page.get_by_role("link", name="Line").click()
        page.get_by_text("Moving averages").click()
        page.get_by_label("SMA 50", exact=True).check()
        page.get_by_role("button", name="Apply").click()
        expect(page.locator("#chart polyline")).to_have_count(2)
        page.get_by_text("Custom range").click()
        start = datetime.now(UTC) - timedelta(hours=5)
        page.get_by_label("From (UTC)").fill(f"{start:%Y-%m-%dT%H:%M}")
        page.get_by_role("button", name="Show this range").click()
        times = data_of(page)["times"]
        assert abs(times[0] - start.timestamp()) <= 900
        expect(page.get_by_label("SMA 50", exact=True), "the other choices are kept").to_be_checked()
        page.get_by_role("link", name="Link to this view").click()
        assert data_of(page)["times"] == times


def test_colors_follow_the_theme(browser: Browser, site: str) -> None:
    line = """() => {
      const canvas = document.querySelector("#chart td:nth-child(2) canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const found = new Set();
      for (let at = 0; at < data.length; at += 4) found.add(data.slice(at, at + 3).join());
      const probe = document.createElement("span");
      probe.style.color = "var(--accent)";
      document.body.append(probe);
      return found.has(getComputedStyle(probe).color.match(/\\d+/g).join());
    }"""
    with opened(browser, f"{site}{COINBASE}&type=line", color_scheme="light") as page:
        page.wait_for_timeout(300)
        assert page.evaluate(line)
        page.get_by_label("Theme").select_option("dark")
        page.wait_for_timeout(300)
        assert page.evaluate(line)
