# ruff: noqa: RUF001  a dash is what the page shows
"""The overview without JavaScript."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import Settings
from tests.web.seed import NOW

HTML = {"Accept": "text/html"}


def text_of(html: str) -> str:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()
    return text.replace(" .", ".")


def row(page: str, coin: str) -> str:
    """The text of a coin's row."""
    found = re.search(rf'<tbody[^>]* id="{coin}".*?</tbody>', page, re.DOTALL)
    assert found, coin
    return text_of(found[0])


def visible(page: str) -> list[str]:
    """The codes of the coins that are shown, in order."""
    return [body[1] for body in re.finditer(r'<tbody[^>]* id="(\w+)"[^>]*>', page) if " hidden" not in body[0]]


def market_row(page: str, instrument: str) -> str:
    found = re.search(rf'data-instrument="{re.escape(instrument)}".*?</tr>', page, re.DOTALL)
    assert found, instrument
    return text_of(found[0])


@pytest.fixture
def candles(market: None, engine: sa.Engine) -> None:
    refresh_candles(engine)


@pytest.mark.usefixtures("candles")
def test_row_has_price_changes_sparkline_volume_exchanges_and_age(client: TestClient) -> None:
    page = client.get("/").text
    bitcoin = row(page, "BTC")
    assert bitcoin.startswith("Bitcoin BTC 43,215.12 USD")
    assert re.search(r"USD [+-]\d\.\d\d% [+-]\d\.\d\d% – ", bitcoin), "a day of history, but not a week"
    assert "1.07B USD" in bitcoin, "12,345.6 BTC on each of two exchanges; coinnews has no volume"
    assert bitcoin.endswith("3 exchanges of Bitcoin 12 s ago")
    assert row(page, "DOGE").count("–") == 2, "3 hours of history"
    assert page.count("<svg") == 5
    assert 'style="' not in page, "which the Content-Security-Policy forbids"


@pytest.mark.usefixtures("market")
def test_old_prices_and_their_exchange_are_marked(client: TestClient, engine: sa.Engine) -> None:
    page = client.get("/").text
    assert "stale" not in row(page, "BTC")
    assert "Kraken has no new prices. The last price is from 2026-11-20 11:30 UTC." in text_of(page)
    with engine.begin() as connection:
        then = {"then": NOW - timedelta(hours=2)}
        connection.execute(sa.text("UPDATE latest_quotes SET observed_at = :then"), then)
    page = client.get("/").text
    assert "stale 2 h ago" in row(page, "BTC")
    assert "No exchange has new prices" in text_of(page)


@pytest.mark.usefixtures("market")
def test_error_messages_of_exchanges_are_not_public(client: TestClient, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("""INSERT INTO exchange_status (exchange_id, failures, last_error)
                       SELECT id, 3, 'GET http://10.0.0.1/?key=abc failed' FROM exchanges WHERE code = 'kraken'
                       ON CONFLICT (exchange_id) DO UPDATE SET failures = 3, last_error = excluded.last_error""")
        )
    page = client.get("/").text
    assert "Kraken isn't responding" in text_of(page).replace("&#39;", "'")
    assert "10.0.0.1" not in page


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("query", "coins"),
    [
        ("", ["BTC", "ETH", "SOL", "XRP", "DOGE"]),
        ("?sort=price", ["BTC", "ETH", "SOL", "XRP", "DOGE"]),
        ("?sort=price&order=asc", ["DOGE", "XRP", "SOL", "ETH", "BTC"]),
        ("?sort=name", ["BTC", "DOGE", "ETH", "SOL", "XRP"]),
        ("?sort=name&order=desc", ["XRP", "SOL", "ETH", "DOGE", "BTC"]),
        ("?q=coin", ["BTC", "DOGE"]),
        ("?q=%20eth", ["ETH"]),
        ("?q=coin&sort=price&order=asc", ["DOGE", "BTC"]),
        ("?sort=nonsense&order=up&utm_source=x", ["BTC", "ETH", "SOL", "XRP", "DOGE"]),
        ("?q=nothing", []),
    ],
)
def test_links_sort_and_search(client: TestClient, query: str, coins: list[str]) -> None:
    assert visible(client.get(f"/{query}").text) == coins


@pytest.mark.usefixtures("market")
def test_sorted_column_is_announced_and_its_link_reverses_the_order(client: TestClient) -> None:
    page = client.get("/?sort=price&q=coin").text
    [heading] = re.findall(r"<th [^>]*aria-sort.*?</th>", page, re.DOTALL)
    assert 'aria-sort="descending"' in heading
    assert 'href="?sort=price&amp;order=asc&amp;q=coin"' in heading


@pytest.mark.usefixtures("market")
def test_search_text_is_escaped(client: TestClient) -> None:
    page = client.get('/?q="><script>alert(1)</script>').text
    assert "<script>alert" not in page
    assert "0 coins found" in text_of(page)


@pytest.mark.usefixtures("market")
def test_exchanges_of_a_coin_are_shown_on_demand(client: TestClient) -> None:
    for page in (client.get("/?open=BTC").text, client.get("/prices/BTC").text, client.get("/prices/bitcoin").text):
        coinbase = market_row(page, "coinbase:BTC/USD")
        assert "43,219.45 USD +0.01% 8.64 12.3K BTC 12 s ago" in coinbase
        assert "stale 30 min ago" in market_row(page, "kraken:BTC/USD")
        assert "– – – 12 s ago" in market_row(page, "index:BTC/USD"), "nothing to compare it with"
        assert "?coin=BTC" in page, "link to the alert form"
    assert "data-instrument" not in client.get("/").text
    assert client.get("/prices/NOPE", headers=HTML).status_code == 404


def test_page_without_prices_says_when_they_will_arrive(
    client: TestClient, engine: sa.Engine, settings: Settings
) -> None:
    assert "No prices yet" in client.get("/").text
    sync_catalog(engine, settings)
    page = client.get("/").text
    assert "No prices yet" in page
    assert "within 3 minutes" in page


@pytest.mark.usefixtures("candles")
def test_pages_within_a_minute_read_history_once(client: TestClient, engine: sa.Engine) -> None:
    client.get("/")
    statements: list[str] = []
    sa.event.listen(engine, "begin", lambda connection: statements.append("begin"))
    client.get("/")
    assert len(statements) <= 3, "prices, the state of exchanges, whether all prices are simulated"
