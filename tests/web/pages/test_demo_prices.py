"""Pages say so if prices are simulated, and never call them a median of exchanges."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.prices.catalog import set_exchange_enabled

BANNER = "simulated or replayed, not from a market"
PAGES = ("/", "/coins/BTC", "/subscribe?coin=BTC", "/sign-in")


@pytest.fixture
def only_demo(market: None, engine: sa.Engine) -> None:
    for code in ("kraken", "coinbase"):
        set_exchange_enabled(engine, code, False)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_a_banner_if_all_prices_are_simulated(only_demo: None, client: TestClient, path: str) -> None:
    page = client.get(path).text
    assert BANNER in page
    assert "median" not in page


@pytest.mark.parametrize("path", [*PAGES, "/coins/BTC?exchange=kraken"])
def test_no_banner_on_real_prices(market: None, client: TestClient, path: str) -> None:
    assert BANNER not in client.get(path).text


def test_simulated_market_has_a_banner_among_real_ones(market: None, client: TestClient) -> None:
    assert BANNER in client.get("/coins/BTC?exchange=coinnews").text


def test_api_marks_simulated_prices(only_demo: None, client: TestClient) -> None:
    assert {row["simulated"] for row in client.get("/api/v1/prices").json()} == {True}
