"""The REST API's candles, prices of a moment, comparisons, changes and movers."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.prices.candles.storage import refresh_candles


@pytest.fixture(autouse=True)
def candles(market: None, engine: sa.Engine) -> None:
    """The seeded market: 30 hours to 2026-11-20 12:00:18, a price every ten minutes, made into candles."""
    refresh_candles(engine)


def test_candles_come_oldest_first_and_the_last_one_says_it_is_not_over(client: TestClient) -> None:
    answer = client.get("/api/v1/candles/bitcoin?exchange=coinbase&resolution=4h").json()
    assert {name: answer[name] for name in ("exchange", "base", "quote", "resolution", "timezone", "made_of")} == {
        "exchange": "coinbase",
        "base": "BTC",
        "quote": "USD",
        "resolution": "4h",
        "timezone": "UTC",
        "made_of": "1h",
    }
    assert [candle["opened_at"] for candle in answer["candles"]][-2:] == [
        "2026-11-20T08:00:00Z",
        "2026-11-20T12:00:00Z",
    ]
    assert [candle["complete"] for candle in answer["candles"]] == [True] * 8 + [False]
    assert set(answer["candles"][0]) == {"opened_at", "open", "high", "low", "close", "volume", "complete"}
    assert answer["candles"][-1]["close"] == client.get("/api/v1/prices/BTC?exchange=coinbase").json()[0]["price"]


def test_candles_go_by_the_clock_asked_for_and_tell_details(client: TestClient) -> None:
    query = {"exchange": "coinbase", "resolution": "1d", "timezone": "Asia/Kolkata", "details": "true"}
    answer = client.get("/api/v1/candles/BTC", params=query).json()
    assert [candle["opened_at"] for candle in answer["candles"]] == ["2026-11-18T18:30:00Z", "2026-11-19T18:30:00Z"]
    assert [(candle["source"], candle["samples"]) for candle in answer["candles"]] == [("quotes", 75), ("quotes", 106)]
    assert answer["made_of"] == "1m"


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        ("candles/BTC?resolution=2h", "resolution", "1m, 5m, 15m"),
        ("candles/BTC?timezone=Mars", "timezone", "There is no time zone 'Mars'"),
        ("candles/BTC?resolution=1m&start=2020-01-01T00:00:00Z", "resolution", "more than 10,000 at once"),
        ("candles/BTC?end=0001-01-01T00:00:00Z", "end", "between the years 1970 and 2999"),
        ("history/BTC?end=0001-01-01T00:00:00Z", "end", "between the years 1970 and 2999"),
        ("price/BTC", "at", "Please fill this in."),
        ("price/BTC?at=noon", "at", "is not a date and time"),
        ("price/BTC?at=0001-01-01T00:00:00Z", "at", "between the years 1970 and 2999"),
        ("price/BTC?at=2026-11-20T11:00:00Z&tolerance_seconds=1e30", "tolerance_seconds", "no length of time"),
        ("movers?window_seconds=nan", "window_seconds", "no length of time"),
        ("movers?window_seconds=-5", "window", "A window is 1 minute to"),
        ("movers?limit=0", "limit", "1 to 1000 movers"),
    ],
)
def test_what_makes_no_sense_names_its_field(client: TestClient, path: str, field: str, message: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 422
    assert message in answer.json()["fields"][field]


def test_the_price_of_a_moment_says_what_told_it(client: TestClient) -> None:
    answer = client.get("/api/v1/price/BTC?exchange=coinbase&at=2026-11-20T13:05:18%2B02:00").json()
    assert (answer["kind"], answer["observed_at"], answer["age_seconds"]) == ("prices", "2026-11-20T11:00:18Z", 300.0)
    assert answer["moment"] == "2026-11-20T11:05:18Z"
    unknown = client.get("/api/v1/price/BTC?at=2026-01-01T00:00:00Z")
    assert unknown.status_code == 404
    assert "2026-01-01 00:00:00 UTC, or up to 1 hour before" in unknown.json()["message"]


def test_exchanges_are_compared_and_the_old_price_does_not_count(client: TestClient) -> None:
    answer = client.get("/api/v1/compare/BTC").json()
    prices = {price["exchange"]: price for price in answer["prices"]}
    assert {code: price["fresh"] for code, price in prices.items()} == {
        "coinbase": True,
        "coinnews": True,
        "kraken": False,
    }
    assert answer["median"] == prices["coinbase"]["price"], "coinnews is simulated"
    assert prices["kraken"]["deviation_percent"] != 0
    assert client.get("/api/v1/compare/nope").status_code == 404


def test_movers_and_changes_agree(client: TestClient) -> None:
    found = client.get("/api/v1/movers?exchange=coinbase&limit=2").json()
    assert (found["compared"], len(found["gainers"])) == (4, 2), "DOGE has no price of yesterday"
    whole = client.get("/api/v1/changes?exchange=coinbase").json()
    assert whole["windows_seconds"] == [3600, 86400, 604800, 2592000]
    changes = {coin["base"]: coin["changes_percent"] for coin in whole["coins"]}
    assert changes["DOGE"][1] is None
    assert {mover["base"]: mover["change_percent"] for mover in found["gainers"]}.items() <= {
        base: values[1] for base, values in changes.items()
    }.items()
    assert client.get("/api/v1/changes").json()["coins"][0]["exchange"] == "index"
