"""The REST API's answers."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscriptions import list_subscriptions

pytestmark = pytest.mark.usefixtures("market")


def test_prices_come_with_everything_a_program_needs(client: TestClient) -> None:
    rows = client.get("/api/v1/prices").json()
    assert len(rows) == 20
    [row] = client.get("/api/v1/prices/bitcoin?exchange=coinbase").json()
    assert row["observed_at"] == "2026-11-20T12:00:18Z"
    assert row["change_24h_percent"] == pytest.approx(1.816, abs=0.001)
    assert (row["base"], row["quote"], row["exchange"], row["age_seconds"]) == ("BTC", "USD", "coinbase", 12.0)
    assert row["bid"] < row["price"] < row["ask"]


def test_an_unknown_coin_is_404_and_says_what_there_is(client: TestClient) -> None:
    for path in ("/api/v1/prices/nope", "/api/v1/history/nope"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"] == "not_found"
        assert "BTC" in answer.json()["message"]
    assert client.get("/api/v1/prices/BTC?exchange=nope").json() == []


def test_history_is_thinned_but_keeps_its_ends(client: TestClient) -> None:
    whole = client.get("/api/v1/history/BTC?exchange=coinbase").json()
    assert (whole["exchange"], whole["base"], whole["quote"]) == ("coinbase", "BTC", "USD")
    assert len(whole["points"]) == 144
    thin = client.get("/api/v1/history/BTC?exchange=coinbase&points=20").json()["points"]
    assert len(thin) <= 20
    assert (thin[0], thin[-1]) == (whole["points"][0], whole["points"][-1])
    prices = [point["price"] for point in whole["points"]]
    assert {min(prices), max(prices)} <= {point["price"] for point in thin}


def test_history_honours_start_and_end(client: TestClient) -> None:
    query = {"exchange": "coinbase", "start": "2026-11-20T10:00:00Z", "end": "2026-11-20T12:00:00+01:00"}
    moments = [point["observed_at"] for point in client.get("/api/v1/history/BTC", params=query).json()["points"]]
    assert moments[0] == "2026-11-20T10:00:18Z"
    assert moments[-1] == "2026-11-20T10:50:18Z"


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({"start": "yesterday"}, "start", "is not a date and time"),
        ({"end": "2026-11-20T12:00:00"}, "end", "is not a date and time"),
        ({"start": "2026-11-20T12:00:00Z", "end": "2026-11-20T11:00:00Z"}, "start", "before its end"),
        ({"points": "many"}, "points", "is not a number"),
        ({"points": "1000000"}, "points", "Ask for 4 to 5000 points"),
    ],
)
def test_a_nonsensical_range_names_its_field(
    client: TestClient, query: dict[str, str], field: str, message: str
) -> None:
    answer = client.get("/api/v1/history/BTC", params=query)
    assert answer.status_code == 422
    assert message in answer.json()["fields"][field]


def test_operators_list_and_end_subscriptions(operator: TestClient, engine: sa.Engine) -> None:
    for address in ("ada@example.org", "bob@example.org"):
        operator.post("/api/v1/subscriptions", json={"email": address, "coin": "BTC", "threshold_percent": 2})
    assert len(operator.get("/api/v1/subscriptions").json()) == 2
    [bobs] = operator.get("/api/v1/subscriptions?email=bob@example.org").json()
    assert operator.delete(f"/api/v1/subscriptions/{bobs['id']}").json()["status"] == "unsubscribed"
    assert [found.status for found in list_subscriptions(engine)] == ["active", "unsubscribed"]
    assert operator.delete("/api/v1/subscriptions/999").status_code == 404
    assert operator.delete("/api/v1/subscriptions/abc").status_code == 422


def test_status_says_how_the_pipeline_is_doing(operator: TestClient) -> None:
    status = operator.get("/api/v1/status").json()
    assert status["newest_price_at"] == "2026-11-20T12:00:18Z"
    assert {exchange["code"] for exchange in status["exchanges"]} == {"coinbase", "coinnews", "kraken"}


def test_the_old_names_do_the_same(client: TestClient, engine: sa.Engine) -> None:
    body = {"email": "ada@example.org", "coin_name": "bitcoin", "percentage": 5}
    assert client.post("/SubscribeCoin", json=body).status_code == 202
    [made] = list_subscriptions(engine)
    assert (made.base, made.threshold, made.status) == ("BTC", 5, "pending")
    old = client.get("/GetPriceHistory?coin_name=bitcoin").json()
    assert old == client.get("/api/v1/history/BTC").json()


def test_health_tells_the_age_of_the_newest_price(client: TestClient) -> None:
    assert client.get("/health").json() == {
        "status": "ok",
        "reason": None,
        "newest_price_at": "2026-11-20T12:00:18Z",
        "newest_price_age_seconds": 12.0,
    }
