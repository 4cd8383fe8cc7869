"""The examples in the API reference are real requests and responses.

RECORD_API_EXAMPLES=1 pytest -n0 tests/web/api/test_examples.py writes them anew.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.web.openapi import EXAMPLES_FILE, examples, operations_of
from tests.web.shapes import shape
from tests.web.subscribing import ADA, add_alerts, add_subscription

STREAM = "/api/v1/stream"  # events without end
MAX_ROWS = 2  # of a list in an example
NEW = {"email": "ada@example.org", "coin": "BTC", "exchange": "kraken", "level": 45000, "direction": "up"}
COIN = {"coin": "BTC"}
RANGE = "start=2026-11-20T10:00:00Z&end=2026-11-20T12:00:00Z"
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "GET /health": {"url": "/health"},
    "GET /ready": {"url": "/ready"},
    "GET /api/v1/status": {"url": "/api/v1/status"},
    "GET /api/v1/exchanges": {"url": "/api/v1/exchanges"},
    "GET /api/v1/coins": {"url": "/api/v1/coins"},
    "GET /api/v1/instruments": {"url": "/api/v1/instruments?coin=bitcoin&limit=2"},
    "GET /api/v1/prices": {"url": "/api/v1/prices?exchange=kraken"},
    "GET /api/v1/prices/{coin}": {"url": "/api/v1/prices/BTC?exchange=kraken", "path": COIN},
    "GET /api/v1/price/{coin}": {"url": "/api/v1/price/BTC?at=2026-11-20T11:00:00Z", "path": COIN},
    "GET /api/v1/compare/{coin}": {"url": "/api/v1/compare/BTC?quote=USD", "path": COIN},
    "GET /api/v1/history/{coin}": {"url": f"/api/v1/history/BTC?exchange=kraken&{RANGE}&limit=2", "path": COIN},
    "GET /api/v1/candles/{coin}": {
        "url": f"/api/v1/candles/BTC?exchange=kraken&resolution=1h&{RANGE}",
        "path": COIN,
    },
    "GET /api/v1/gaps/{coin}": {"url": "/api/v1/gaps/BTC?exchange=kraken", "path": COIN},
    "GET /api/v1/changes": {"url": "/api/v1/changes?exchange=kraken"},
    "GET /api/v1/movers": {"url": "/api/v1/movers?window_seconds=1d&limit=2"},
    "POST /api/v1/subscriptions": {"url": "/api/v1/subscriptions", "body": NEW, "status": 201},
    "GET /api/v1/subscriptions": {"url": "/api/v1/subscriptions?email=ada@example.org&limit=2"},
    "GET /api/v1/subscriptions/{subscription_id}": {
        "url": "/api/v1/subscriptions/1",
        "path": {"subscription_id": "1"},
    },
    "PATCH /api/v1/subscriptions/{subscription_id}": {
        "url": "/api/v1/subscriptions/1",
        "path": {"subscription_id": "1"},
        "body": {"snoozed_until": "2026-11-20T20:00:00Z"},
    },
    "DELETE /api/v1/subscriptions/{subscription_id}": {
        "url": "/api/v1/subscriptions/1",
        "path": {"subscription_id": "1"},
    },
    "GET /api/v1/backtest": {"url": "/api/v1/backtest?coin=BTC&exchange=coinbase&threshold_percent=1&days=7"},
    "GET /api/v1/alerts": {"url": "/api/v1/alerts?coin=BTC&limit=2"},
    "GET /api/v1/subscribers": {"url": "/api/v1/subscribers?email=ada@example.org"},
    "DELETE /api/v1/subscribers": {"url": "/api/v1/subscribers?email=ada@example.org", "status": 204},
    "GET /udf/config": {"url": "/udf/config"},
    "GET /udf/time": {"url": "/udf/time"},
    "GET /udf/search": {"url": "/udf/search?query=BTC&limit=2"},
    "GET /udf/symbols": {"url": "/udf/symbols?symbol=kraken:BTC/USD"},
    "GET /udf/history": {
        "url": "/udf/history?symbol=kraken:BTC/USD&resolution=60&from=1795168800&to=1795176000",
    },
    "GET /widgets.json": {"url": "/widgets.json"},
    "POST /SubscribeCoin": {
        "url": "/SubscribeCoin",
        "body": {"email": "bob@example.org", "coin_name": "bitcoin", "percentage": 5},
        "status": 201,
    },
    "GET /GetPriceHistory": {"url": "/GetPriceHistory?coin_name=bitcoin"},
    "GET /symbols": {"url": "/symbols"},
    "GET /exchanges": {"url": "/exchanges"},
    "GET /tickers/{coin}/{exchange}": {
        "url": "/tickers/bitcoin/kraken",
        "path": {"coin": "bitcoin", "exchange": "kraken"},
    },
    "GET /price-history-minutes/{interval}/{ticker}": {
        "url": "/price-history-minutes/120%20minute/BTCUSDT",
        "path": {"interval": "120 minute", "ticker": "BTCUSDT"},
    },
}


@pytest.fixture
def responses(market: None, engine: sa.Engine, operator: TestClient) -> dict[str, dict[str, Any]]:
    """What each request returns: from a market in which Ada has an alert on BTC that has fired."""
    refresh_candles(engine)
    subscription = add_subscription(engine, ADA)
    add_alerts(engine, subscription, 2)
    found: dict[str, dict[str, Any]] = {}
    for operation, request in REQUESTS.items():
        method = operation.partition(" ")[0]
        url = request["url"].replace("/subscriptions/1", f"/subscriptions/{subscription.id}")
        response = operator.request(method, url, json=request.get("body"))
        assert response.status_code == request.get("status", 200), (operation, response.text)
        body = shortened(response.json()) if response.content else None
        found[operation] = {"status": response.status_code, **request, "response": body}
    return found


def shortened(value: Any) -> Any:
    """A document with at most two rows of each list."""
    if isinstance(value, dict):
        return {name: shortened(item) for name, item in value.items()}
    return [shortened(item) for item in value[:MAX_ROWS]] if isinstance(value, list) else value


def test_examples_are_what_the_api_responds(responses: dict[str, dict[str, Any]]) -> None:
    if os.environ.get("RECORD_API_EXAMPLES"):
        EXAMPLES_FILE.write_text(json.dumps(responses, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    for operation, expected in responses.items():
        documented = examples()[operation]
        assert {name: documented[name] for name in documented if name != "response"} == {
            name: expected[name] for name in expected if name != "response"
        }, operation
        assert shape(documented["response"]) == shape(expected["response"]), operation


def test_every_operation_has_an_example_in_the_description(standalone: FastAPI) -> None:
    for method, path, operation in operations_of(standalone.openapi()):
        if path == STREAM:
            continue
        example = examples()[f"{method} {path}"]
        content = operation["responses"][str(example["status"])].get("content", {})
        if "application/json" in content:
            assert content["application/json"]["example"] == example["response"], path
        required = [parameter for parameter in operation.get("parameters", []) if parameter["required"]]
        assert [parameter["name"] for parameter in required if "example" not in parameter] == [], path


def test_reference_shows_every_operation_with_its_example(client: TestClient) -> None:
    page = client.get("/docs").text
    for operation in REQUESTS:
        method, _, path = operation.partition(" ")
        assert f'<span class="method">{method}</span> <code>{path}</code>' in page, operation
    assert "curl &#39;http://coinwatch.test/api/v1/prices/BTC?exchange=kraken&#39;" in page
    assert 'id="invalid_request"' in page, "the address that errors refer to"
