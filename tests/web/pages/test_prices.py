# ruff: noqa: RUF001  a dash is what the page shows
"""The page of prices, and links of all pages, without JavaScript."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.alerts.rules import Rule
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import Settings
from coinwatch.web.middleware.access import PUBLIC_STANDALONE
from tests.support.subscriptions import subscribe
from tests.web.seed import NOW

HTML = {"Accept": "text/html"}


def row(page: str, instrument: str) -> str:
    """The text of one row of the price table."""
    found = re.search(rf'data-instrument="{re.escape(instrument)}".*?</tr>', page, re.DOTALL)
    assert found, instrument
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", found[0]))


@pytest.mark.usefixtures("market")
def test_table_shows_price_currency_change_spread_and_age(client: TestClient) -> None:
    page = client.get("/").text
    assert "43,219.45 USD" in row(page, "coinbase:BTC/USD")
    assert "▲ +1.82%" in row(page, "coinbase:BTC/USD")
    assert "8.64" in row(page, "coinbase:BTC/USD")
    assert "12 s ago" in row(page, "coinbase:BTC/USD")
    assert "0.523456 USD" in row(page, "index:XRP/USD")
    assert 'title="2026-11-20 12:00:18 UTC"' in page


@pytest.mark.usefixtures("market")
def test_old_prices_are_marked_stale_and_missing_values_are_dashes(client: TestClient) -> None:
    page = client.get("/").text
    assert "stale 30 min ago" in row(page, "kraken:BTC/USD")
    assert "stale" not in row(page, "coinbase:BTC/USD")
    assert "– –" in row(page, "coinnews:DOGE/USD"), "no price from yesterday, no bid and ask"


def test_page_without_prices_says_when_they_will_arrive(
    client: TestClient, engine: sa.Engine, settings: Settings
) -> None:
    assert "No coins yet" in client.get("/").text
    sync_catalog(engine, settings)
    page = client.get("/").text
    assert "No prices yet" in page
    assert "within 3 minutes" in page
    assert "Bitcoin (BTC)" in page, "alerts can be created already"


@pytest.mark.usefixtures("market")
def test_reloaded_table_matches_the_page(client: TestClient) -> None:
    assert client.get("/prices").text.strip() in client.get("/").text


@pytest.mark.usefixtures("market")
def test_public_pages_show_no_email_address(client: TestClient, engine: sa.Engine) -> None:
    subscribe(
        engine,
        email="secret@example.org",
        coin="BTC",
        rule=Rule(threshold=2),
        now=NOW,
        confirmed=True,
        exchange="kraken",
    )
    for method, path in PUBLIC_STANDALONE:
        if method == "GET":
            response = client.get(path.replace("{coin}", "BTC"), headers=HTML)
            assert "secret@example.org" not in response.text, path


@pytest.mark.usefixtures("market")
def test_links_inside_airflow_include_the_mount_point(inside_as: Callable[..., TestClient]) -> None:
    browser = inside_as("admin")
    for path in ("/", "/coins/BTC", "/subscribe", "/docs", "/nothing"):
        page = browser.get(f"/coinwatch{path}", headers=HTML).text
        links = set(re.findall(r'(?:href|src|action|data-source)="([^"]*)"', page)) - {"https://www.tradingview.com/"}
        assert len(links) > 5
        for link in links:
            assert re.match("/coinwatch/|[?#]|$", link), (path, link)
    assert browser.get("/coinwatch/coins?coin=btc").headers["location"] == "/coinwatch/coins/BTC"


def test_every_api_route_is_documented(client: TestClient, standalone: FastAPI) -> None:
    page = client.get("/docs").text
    for path in standalone.openapi()["paths"]:
        assert f"<code>{path}</code>" in page
    assert page.count('<span class="badge">operators</span>') == 6
