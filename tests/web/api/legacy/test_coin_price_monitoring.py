"""Routes under the names of Coin Price Monitoring, with the field names its users know or guess."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscriptions import list_subscriptions
from tests.web.subscribing import ADA

pytestmark = pytest.mark.usefixtures("market")


@pytest.mark.parametrize(
    "body",
    [
        {"email": ADA, "coin_name": "bitcoin", "percentage": 5},
        {"email": ADA, "coin": "BTC", "percent": "5%"},
        {"mail": ADA, "coinName": "Bitcoin", "change": 5},
        {"email_address": ADA, "symbol": "btc", "threshold": "5"},
    ],
)
@pytest.mark.parametrize("as_form", [False, True])
def test_subscribe_coin_accepts_the_names_people_guess(
    client: TestClient, engine: sa.Engine, body: dict[str, object], as_form: bool
) -> None:
    response = client.post("/SubscribeCoin", **{"data" if as_form else "json": body})  # type: ignore[arg-type]
    assert response.status_code == 202
    [created] = list_subscriptions(engine)
    assert (created.base, created.threshold, created.status) == ("BTC", 5, "pending")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": ADA, "coin": "BTC"}, "percent"),
        ({"email": ADA, "percent": 5}, "coin"),
        ({"coin": "BTC", "percent": 5}, "email"),
        ({"email": ADA, "coin": "BTC", "percent": 5, "treshold": 1}, "treshold"),
        ({"email": ADA, "coin": "BTC", "percent": "much"}, "percent"),
    ],
)
def test_subscribe_coin_names_the_missing_or_unknown_field(
    client: TestClient, engine: sa.Engine, body: dict[str, object], field: str
) -> None:
    response = client.post("/SubscribeCoin", json=body)
    assert response.status_code == 422
    assert field in response.text
    assert list_subscriptions(engine) == []


@pytest.mark.parametrize("query", ["coin=BTC", "coin_name=bitcoin", "name=Bitcoin", "symbol=btc"])
def test_price_history_is_the_same_as_in_the_api(client: TestClient, query: str) -> None:
    assert client.get(f"/GetPriceHistory?{query}").json() == client.get("/api/v1/history/BTC?points=500").json()


def test_price_history_without_a_coin_says_what_to_pass(client: TestClient) -> None:
    response = client.get("/GetPriceHistory")
    assert response.status_code == 422
    assert "?coin=BTC" in response.text
