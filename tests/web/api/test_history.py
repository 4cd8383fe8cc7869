"""Prices and candles over a time range, changes and movers."""

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.web.middleware.rate_limiter import ConcurrencyLimit
from tests.web.problems import invalid_fields


@pytest.fixture(autouse=True)
def candles(market: None, engine: sa.Engine) -> None:
    """Candles of the seeded market: 30 hours up to 2026-11-20 12:00:18, a price every ten minutes."""
    refresh_candles(engine)


def test_history_is_downsampled_but_keeps_ends_and_extremes(client: TestClient) -> None:
    whole = client.get("/api/v1/history/BTC?exchange=coinbase").json()
    assert (whole["exchange"], whole["base"], whole["quote"]) == ("coinbase", "BTC", "USD")
    assert (len(whole["points"]), whole["downsampled"]) == (144, False)
    response = client.get("/api/v1/history/BTC?exchange=coinbase&points=20").json()
    assert response["downsampled"] is True, "not silently"
    thin = response["points"]
    assert len(thin) <= 20
    assert (thin[0], thin[-1]) == (whole["points"][0], whole["points"][-1])
    prices = [point["price"] for point in whole["points"]]
    assert {min(prices), max(prices)} <= {point["price"] for point in thin}


def test_history_respects_start_and_end(client: TestClient) -> None:
    query = {"exchange": "coinbase", "start": "2026-11-20T10:00:00Z", "end": "2026-11-20T12:00:00+01:00"}
    moments = [point["observed_at"] for point in client.get("/api/v1/history/BTC", params=query).json()["points"]]
    assert moments[0] == "2026-11-20T10:00:18Z"
    assert moments[-1] == "2026-11-20T10:50:18Z"


def test_candles_are_oldest_first_and_the_last_one_is_incomplete(client: TestClient) -> None:
    response = client.get("/api/v1/candles/bitcoin?exchange=coinbase&resolution=4h").json()
    assert {name: response[name] for name in ("exchange", "base", "quote", "resolution", "timezone", "made_of")} == {
        "exchange": "coinbase",
        "base": "BTC",
        "quote": "USD",
        "resolution": "4h",
        "timezone": "UTC",
        "made_of": "1h",
    }
    assert [candle["opened_at"] for candle in response["candles"]][-2:] == [
        "2026-11-20T08:00:00Z",
        "2026-11-20T12:00:00Z",
    ]
    assert [candle["complete"] for candle in response["candles"]] == [True] * 8 + [False]
    assert set(response["candles"][0]) == {"opened_at", "open", "high", "low", "close", "volume", "complete"}
    assert response["candles"][-1]["close"] == client.get("/api/v1/prices/BTC?exchange=coinbase").json()[0]["price"]


def test_candles_use_the_time_zone_and_include_details(client: TestClient) -> None:
    query = {"exchange": "coinbase", "resolution": "1d", "timezone": "Asia/Kolkata", "details": "true"}
    response = client.get("/api/v1/candles/BTC", params=query).json()
    assert [candle["opened_at"] for candle in response["candles"]] == ["2026-11-18T18:30:00Z", "2026-11-19T18:30:00Z"]
    assert [(candle["source"], candle["samples"]) for candle in response["candles"]] == [
        ("quotes", 75),
        ("quotes", 106),
    ]
    assert response["made_of"] == "1m"


def test_movers_match_changes(client: TestClient) -> None:
    found = client.get("/api/v1/movers?exchange=coinbase&limit=2").json()
    assert (found["compared"], len(found["gainers"])) == (4, 2), "DOGE has no price from yesterday"
    whole = client.get("/api/v1/changes?exchange=coinbase").json()
    assert whole["windows_seconds"] == {"1h": 3600, "24h": 86400, "7d": 604800, "30d": 2592000}
    changes = {coin["base"]: coin["changes_percent"] for coin in whole["coins"]}
    assert changes["DOGE"]["24h"] is None
    assert {mover["base"]: mover["change_percent"] for mover in found["gainers"]}.items() <= {
        base: values["24h"] for base, values in changes.items()
    }.items()
    assert client.get("/api/v1/changes").json()["coins"][0]["exchange"] == "index"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("candles/BTC?resolution=2h", "resolution"),
        ("candles/BTC?timezone=Mars", "timezone"),
        ("candles/BTC?limit=0", "limit"),
        ("history/BTC?limit=10001", "limit"),
        ("candles/BTC?end=0001-01-01T00:00:00Z", "end"),
        ("history/BTC?end=0001-01-01T00:00:00Z", "end"),
        ("history/BTC?start=yesterday", "start"),
        ("history/BTC?end=2026-11-20T12:00:00", "end"),
        ("history/BTC?start=2026-11-20T12:00:00Z&end=2026-11-20T11:00:00Z", "start"),
        ("history/BTC?points=many", "points"),
        ("history/BTC?points=1000000", "points"),
        ("movers?window_seconds=nan", "window_seconds"),
        ("movers?window_seconds=30", "window_seconds"),
        ("movers?limit=0", "limit"),
    ],
)
def test_invalid_parameter_is_reported(client: TestClient, path: str, field: str) -> None:
    response = client.get(f"/api/v1/{path}")
    assert response.status_code == 422
    assert invalid_fields(response) == [field]


def test_error_message_includes_value_and_limit(client: TestClient) -> None:
    response = client.get("/api/v1/movers?window_seconds=30")
    assert response.json()["detail"] == "window_seconds is 30; the minimum is 60."


@pytest.mark.parametrize("path", ["candles/BTC?exchange=coinbase", "history/BTC?exchange=coinbase&points=20"])
def test_long_queries_beyond_the_limit_are_rejected_while_pages_load(
    standalone: FastAPI, client: TestClient, path: str
) -> None:
    object.__setattr__(standalone.state.site, "query_slots", ConcurrencyLimit("queries", 1, max_wait_seconds=0.01))
    with standalone.state.site.query_slots.acquire():
        rejected = client.get(f"/api/v1/{path}")
        page = client.get("/coins/BTC?exchange=coinbase")
    assert rejected.status_code == 429
    assert rejected.headers["retry-after"] == "5"
    assert page.status_code == 200
    assert client.get(f"/api/v1/{path}").status_code == 200


def test_a_day_of_prices_does_not_wait_for_long_queries(standalone: FastAPI, client: TestClient) -> None:
    object.__setattr__(standalone.state.site, "query_slots", ConcurrencyLimit("queries", 1, max_wait_seconds=0.01))
    with standalone.state.site.query_slots.acquire():
        day = client.get("/api/v1/history/BTC?exchange=coinbase&limit=1440")
        month = client.get("/api/v1/history/BTC?exchange=coinbase&start=2026-10-20T12:00:00Z")
    assert (day.status_code, month.status_code) == (200, 429)
