# ruff: noqa: RUF001  a dash is what the page shows
"""The pages of prices and of a coin, without JavaScript."""

import re
from collections.abc import Callable
from datetime import timedelta

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
def test_coin_page_has_chart_table_and_range(client: TestClient) -> None:
    page = client.get("/coins/BTC?exchange=coinbase&range=24h").text
    points = re.search(r'<polyline class="line" points="([^"]+)"', page)
    assert points
    assert len(points[1].split()) == 144
    assert "Newest 25 of the 144" in page
    assert "2026-11-20 12:00:18" in page
    assert '<option value="coinbase:USD" selected>' in page
    assert 'aria-current="true">24 hours' in page


@pytest.mark.usefixtures("market")
def test_change_over_less_history_than_the_range_says_since_when(client: TestClient) -> None:
    for range_, label in {"30d": "Since 09:00 (3 h)", "24h": "Since 09:00 (3 h)", "1h": "Change, 1 hour"}.items():
        page = client.get(f"/coins/DOGE?exchange=coinbase&range={range_}").text
        assert f"<dt>{label}</dt>" in page
    assert "<dt>Change, 24 hours</dt>" in client.get("/coins/BTC?exchange=coinbase&range=24h").text


@pytest.mark.usefixtures("market")
def test_coin_is_found_by_code_or_name_in_any_case(client: TestClient) -> None:
    assert client.get("/coins?coin=bitcoin").headers["location"] == "/coins/BTC"
    assert client.get("/coins?coin=%20eth ").headers["location"] == "/coins/ETH"
    assert "Bitcoin" in client.get("/coins/bitCOIN").text


@pytest.mark.usefixtures("market")
def test_unknown_coin_or_exchange_lists_what_is_available(client: TestClient) -> None:
    response = client.get("/coins?coin=<b>nothing</b>")
    assert response.status_code == 404
    assert "“&lt;b&gt;nothing&lt;/b&gt;”" in response.text
    assert "Ethereum" in response.text
    assert client.get("/coins/NOPE", headers=HTML).status_code == 404
    elsewhere = client.get("/coins/BTC?exchange=mtgox", headers=HTML)
    assert elsewhere.status_code == 404
    assert "Available on: Index" in elsewhere.text


@pytest.mark.usefixtures("market")
def test_currency_of_an_exchange_can_be_chosen(client: TestClient) -> None:
    page = client.get("/coins/BTC?exchange=kraken:EUR").text
    assert '<option value="kraken:EUR" selected>' in page
    assert "No prices in this time range" in page


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
    for path in ("/", "/coins", "/coins/BTC", "/subscribe", "/docs", "/nothing"):
        page = browser.get(f"/coinwatch{path}", headers=HTML).text
        links = re.findall(r'(?:href|src|action|data-source)="([^"]*)"', page)
        assert len(links) > 5
        for link in links:
            assert re.match("/coinwatch/|[?#]|$", link), (path, link)
    assert browser.get("/coinwatch/coins?coin=btc").headers["location"] == "/coinwatch/coins/BTC"


def test_every_api_route_is_documented(client: TestClient, standalone: FastAPI) -> None:
    page = client.get("/docs").text
    for path in standalone.openapi()["paths"]:
        assert f"<code>{path}</code>" in page
    assert page.count('<span class="badge">operators</span>') == 6


@pytest.mark.usefixtures("market")
def test_gap_interrupts_the_line_and_is_listed(client: TestClient, engine: sa.Engine) -> None:
    insert = """
      INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at)
      SELECT i.id, CAST(:start AS date), :start, :end, :status, :reason, :end
      FROM instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = 'coinbase' AND i.base = 'BTC'
    """
    gaps = [
        (-240, -120, "unavailable", "Coinbase has no candles there <yet>"),
        (-750, -720, "unavailable", "gone"),
        (-720, -700, "unavailable", "gone"),
        (-60, -40, "open", None),
        (-400, -300, "repaired", None),
    ]
    with engine.begin() as connection:
        for first, last, status, reason in gaps:
            moments = {"start": NOW + timedelta(minutes=first), "end": NOW + timedelta(minutes=last)}
            connection.execute(sa.text(insert), moments | {"status": status, "reason": reason})
        connection.execute(
            sa.text("DELETE FROM prices WHERE observed_at BETWEEN :start AND :end"),
            {"start": NOW - timedelta(minutes=240), "end": NOW - timedelta(minutes=120)},
        )
    page = client.get("/coins/BTC?exchange=coinbase&range=24h").text
    assert page.count('<polyline class="line"') == 2
    assert page.count('<rect class="gap"') == 1
    listed = [
        re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", item))
        for item in re.findall(r"<li>(No prices.*?)</li>", page, re.DOTALL)
    ]
    assert [item.partition(": ")[0] for item in listed] == [
        "No prices from 2026-11-20 11:00 to 11:20 UTC",
        "No prices from 2026-11-20 08:00 to 10:00 UTC",
        "No prices from 2026-11-19 23:30 to 2026-11-20 00:20 UTC",
    ], "newest first; gaps that meet at midnight are merged; repaired gaps are omitted"
    assert "Coinbase has no candles there &lt;yet&gt;." in listed[1]
    assert "No prices from" not in client.get("/coins/BTC?exchange=kraken").text
