"""The routes of Crypto Prices Tracker, as its dashboard called them."""

import itertools
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.prices.candles.refresh import refresh_candles
from tests.web.seed import NOW

pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture(autouse=True)
def candles(engine: sa.Engine, market: None) -> None:
    refresh_candles(engine)


def data(client: TestClient, path: str) -> list[dict[str, object]]:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert set(response.json()) == {"data"}
    found: list[dict[str, object]] = response.json()["data"]
    return found


def test_dashboard_follows_coins_and_exchanges_to_a_ticker(client: TestClient) -> None:
    assert {"coin": "Bitcoin", "symbol": "BTC"} in data(client, "/symbols")
    assert {"exchange": "kraken", "country": None} in data(client, "/exchanges")
    assert "index" not in [item["exchange"] for item in data(client, "/exchanges")]
    tickers = data(client, "/tickers/bitcoin/kraken")
    assert tickers == [
        {"ticker": "BTCEUR", "exchange": "kraken", "coin": "Bitcoin"},
        {"ticker": "BTCUSD", "exchange": "kraken", "coin": "Bitcoin"},
    ]


def test_history_has_a_price_every_ten_minutes(client: TestClient) -> None:
    prices = data(client, "/price-history-minutes/120%20minute/BTCUSD")
    times = [parsedate_to_datetime(str(price["date"])) for price in prices]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {timedelta(minutes=10)}
    assert NOW - timedelta(minutes=130) <= times[0] < NOW - timedelta(minutes=100)
    assert {price["ticker"] for price in prices} == {"BTCUSD"}


def test_pair_in_another_dollar_shows_the_index_under_its_own_ticker(client: TestClient) -> None:
    assert {price["ticker"] for price in data(client, "/price-history-minutes/120%20minute/BTCUSDT")} == {"BTCUSD"}


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/tickers/bitcoinn/kraken", 404, "Bitcoin"),
        ("/tickers/bitcoin/krakenn", 404, "kraken"),
        ("/price-history-minutes/120%20minute/BTXUSD", 404, "BTCUSD"),
        ("/price-history-minutes/soon/BTCUSD", 422, "120 minute"),
        ("/price-history-minutes/0/BTCUSD", 422, "31 days"),
        ("/price-history-minutes/5%20weeks/BTCUSD", 422, "31 days"),
    ],
)
def test_mistakes_say_what_to_call_instead(client: TestClient, path: str, status: int, named: str) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert named in response.text
