"""The health check and the state of the pipeline."""

import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.usefixtures("market")


def test_status_describes_the_pipeline(operator: TestClient) -> None:
    status = operator.get("/api/v1/status").json()
    assert status["newest_price_at"] == "2026-11-20T12:00:18Z"
    assert {exchange["code"] for exchange in status["exchanges"]} == {"coinbase", "coinnews", "kraken"}


def test_health_includes_age_of_newest_price(client: TestClient) -> None:
    assert client.get("/health").json() == {
        "status": "ok",
        "reason": None,
        "newest_price_at": "2026-11-20T12:00:18Z",
        "newest_price_age_seconds": 12.0,
    }
