"""Prices now and at a point in time."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.prices.candles.refresh import refresh_candles
from tests.web.problems import invalid_fields

# The routes about one coin.
COIN_ROUTES = ("prices/{}", "price/{}?at=2026-11-20T11:00:00Z", "compare/{}", "history/{}", "candles/{}")


@pytest.fixture(autouse=True)
def candles(market: None, engine: sa.Engine) -> None:
    """Candles of the seeded market: 30 hours up to 2026-11-20 12:00:18, a price every ten minutes."""
    refresh_candles(engine)


def test_prices_have_all_fields(client: TestClient) -> None:
    rows = client.get("/api/v1/prices").json()
    assert len(rows) == 20
    [row] = client.get("/api/v1/prices/bitcoin?exchange=coinbase").json()
    assert row["observed_at"] == "2026-11-20T12:00:18Z"
    assert row["change_24h_percent"] == pytest.approx(1.816, abs=0.001)
    assert (row["base"], row["quote"], row["exchange"], row["age_seconds"]) == ("BTC", "USD", "coinbase", 12.0)
    assert row["bid"] < row["price"] < row["ask"]


def test_unknown_coin_is_404_and_lists_what_is_available(client: TestClient) -> None:
    for route in COIN_ROUTES:
        response = client.get(f"/api/v1/{route.format('nope')}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), route
        assert "BTC" in response.json()["detail"]


def test_unknown_exchange_is_404_on_every_route_and_suggests_a_name(client: TestClient) -> None:
    for route in (*COIN_ROUTES, "prices", "changes", "movers", "backtest?coin=BTC&threshold_percent=5"):
        if route.startswith("compare"):
            continue
        path = f"/api/v1/{route.format('BTC')}"
        response = client.get(f"{path}{'&' if '?' in path else '?'}exchange=krakn")
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), route
        assert "Did you mean kraken? Available: coinbase, coinnews, index, kraken." in response.json()["detail"]


def test_coin_that_another_exchange_has_is_404_and_lists_the_exchanges(client: TestClient, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO exchanges (code, name, enabled) VALUES ('binance', 'Binance', true)"))
    response = client.get("/api/v1/prices/bitcoin?exchange=binance")
    assert response.status_code == 404
    assert response.json()["detail"] == ("BTC is not tracked on binance. Available: coinbase, coinnews, index, kraken.")


def test_tracked_coin_without_a_price_is_an_empty_list(client: TestClient, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM latest_quotes"))
    for path in ("prices", "prices/BTC", "prices/bitcoin?exchange=Kraken", "prices?exchange=kraken"):
        response = client.get(f"/api/v1/{path}")
        assert (response.status_code, response.json()) == (200, []), path


def test_price_at_a_time_includes_its_source(client: TestClient) -> None:
    response = client.get("/api/v1/price/BTC?exchange=coinbase&at=2026-11-20T13:05:18%2B02:00").json()
    assert (response["kind"], response["observed_at"], response["age_seconds"]) == (
        "prices",
        "2026-11-20T11:00:18Z",
        300.0,
    )
    assert response["moment"] == "2026-11-20T11:05:18Z"
    unknown = client.get("/api/v1/price/BTC?at=2026-01-01T00:00:00Z")
    assert unknown.status_code == 404
    assert "2026-01-01 00:00:00 UTC" in unknown.json()["detail"]


def test_comparison_excludes_stale_and_simulated_prices(client: TestClient) -> None:
    response = client.get("/api/v1/compare/BTC").json()
    prices = {price["exchange"]: price for price in response["prices"]}
    assert {code: price["fresh"] for code, price in prices.items()} == {
        "coinbase": True,
        "coinnews": True,
        "kraken": False,
    }
    assert response["median"] == prices["coinbase"]["price"], "coinnews is simulated"
    assert prices["kraken"]["deviation_percent"] != 0
    assert client.get("/api/v1/compare/nope").status_code == 404


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("price/BTC", "at"),
        ("price/BTC?at=noon", "at"),
        ("price/BTC?at=0001-01-01T00:00:00Z", "at"),
        ("price/BTC?at=2026-11-20T11:00:00Z&tolerance_seconds=1e30", "tolerance_seconds"),
        ("price/BTC?at=2026-11-20T11:00:00Z&tolerance_seconds=0", "tolerance_seconds"),
    ],
)
def test_invalid_parameter_is_reported(client: TestClient, path: str, field: str) -> None:
    response = client.get(f"/api/v1/{path}")
    assert response.status_code == 422
    assert invalid_fields(response) == [field]
