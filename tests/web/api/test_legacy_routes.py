"""Routes under the names of Coin Price Monitoring."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscriptions import list_subscriptions
from tests.web.subscribing import ADA

pytestmark = pytest.mark.usefixtures("market")


def test_legacy_routes_match_their_replacements(client: TestClient, engine: sa.Engine) -> None:
    body = {"email": ADA, "coin_name": "bitcoin", "percentage": 5}
    assert client.post("/SubscribeCoin", json=body).status_code == 202
    [created] = list_subscriptions(engine)
    assert (created.base, created.threshold, created.status) == ("BTC", 5, "pending")
    old = client.get("/GetPriceHistory?coin_name=bitcoin").json()
    assert old == client.get("/api/v1/history/BTC").json()
