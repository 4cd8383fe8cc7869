"""Exchanges, coins, instruments, fired alerts and subscriptions in pages."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from tests.web.problems import invalid_fields
from tests.web.subscribing import ADA, BOB, add_alerts, add_subscription

pytestmark = pytest.mark.usefixtures("market")


def all_pages(client: TestClient, path: str) -> list[list[dict[str, object]]]:
    found, url = [], path
    while url:
        response = client.get(url)
        assert response.status_code == 200, response.text
        found.append(response.json())
        url = response.links.get("next", {}).get("url", "")
    return found


def test_exchanges_and_coins_are_listed(client: TestClient) -> None:
    exchanges = client.get("/api/v1/exchanges").json()
    assert [(each["code"], each["simulated"], each["instruments"]) for each in exchanges] == [
        ("index", False, 5),
        ("coinbase", False, 5),
        ("coinnews", True, 5),
        ("kraken", False, 6),
    ]
    coins = client.get("/api/v1/coins").json()
    assert coins[0] == {
        "code": "BTC",
        "name": "Bitcoin",
        "exchanges": ["coinbase", "coinnews", "index", "kraken"],
        "quotes": ["EUR", "USD"],
    }
    assert len(coins) == 5
    assert client.get("/api/v1/coins?format=csv").text.startswith("code,name\r\nBTC,Bitcoin\r\n")


def test_instruments_are_the_same_in_pages(client: TestClient) -> None:
    whole = client.get("/api/v1/instruments").json()
    assert len(whole) == 21
    pages = all_pages(client, "/api/v1/instruments?limit=4")
    assert [len(page) for page in pages] == [4, 4, 4, 4, 4, 1]
    assert [row for page in pages for row in page] == whole
    of_bitcoin = client.get("/api/v1/instruments?coin=bitcoin&exchange=kraken").json()
    assert [(row["base"], row["quote"], row["watched"]) for row in of_bitcoin] == [
        ("BTC", "EUR", True),
        ("BTC", "USD", True),
    ]
    assert of_bitcoin[0]["last_price_at"] is None


@pytest.mark.parametrize("query", ["coin=nope", "exchange=krakn", "coin=nope&exchange=kraken"])
def test_unknown_names_are_not_found(client: TestClient, query: str) -> None:
    response = client.get(f"/api/v1/instruments?{query}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_subscriptions_and_alerts_are_listed_in_pages(operator: TestClient, engine: sa.Engine) -> None:
    numbers = [add_subscription(engine, email, coin).id for email in (ADA, BOB) for coin in ("BTC", "ETH")]
    assert [[row["id"] for row in page] for page in all_pages(operator, "/api/v1/subscriptions?limit=3")] == [
        numbers[:3],
        numbers[3:],
    ]
    assert [row["id"] for row in operator.get(f"/api/v1/subscriptions?email={BOB}").json()] == numbers[2:]
    assert operator.get(f"/api/v1/subscriptions/{numbers[0]}").json()["email"] == ADA
    assert operator.get("/api/v1/subscriptions/999999").status_code == 404

    bitcoin = add_subscription(engine, "carol@example.org", "BTC")
    add_alerts(engine, bitcoin, 5)
    add_alerts(engine, add_subscription(engine, "carol@example.org", "ETH"), 2)
    pages = all_pages(operator, "/api/v1/alerts?limit=3")
    assert [len(page) for page in pages] == [3, 3, 1]
    found = [row for page in pages for row in page]
    assert [row["id"] for row in found] == sorted((row["id"] for row in found), reverse=True)
    assert "carol" not in operator.get("/api/v1/alerts").text
    of_bitcoin = operator.get("/api/v1/alerts?coin=bitcoin").json()
    assert {(row["subscription_id"], row["coin"], row["exchange"]) for row in of_bitcoin} == {
        (bitcoin.id, "BTC", bitcoin.exchange)
    }
    assert operator.get(f"/api/v1/alerts?subscription_id={bitcoin.id}").json() == of_bitcoin
    newest = max(row["observed_at"] for row in of_bitcoin)
    assert len(operator.get("/api/v1/alerts", params={"coin": "BTC", "end": newest}).json()) == 4
    assert len(operator.get("/api/v1/alerts", params={"coin": "BTC", "start": newest}).json()) == 1
    wrong = operator.get("/api/v1/alerts?start=1900-01-01T00:00:00Z")
    assert (wrong.status_code, invalid_fields(wrong)) == (422, ["start"])


def test_life_of_a_subscription(operator: TestClient) -> None:
    new = {"email": ADA, "coin": "BTC", "threshold_percent": 5}
    number = operator.post("/api/v1/subscriptions", json=new).json()["id"]
    path = f"/api/v1/subscriptions/{number}"
    for change, expected in (
        ({"threshold_percent": 7}, ("active", 7, None)),
        ({"status": "paused"}, ("paused", 7, None)),
        ({"status": "active"}, ("active", 7, None)),
        ({"snoozed_until": "2026-11-20T20:00:00Z"}, ("active", 7, "2026-11-20T20:00:00Z")),
        ({"snoozed_until": None}, ("active", 7, None)),
    ):
        assert operator.patch(path, json=change).status_code == 200, change
        found = operator.get(path).json()
        assert (found["status"], found["threshold_percent"], found["snoozed_until"]) == expected, change
    assert operator.delete(path).json()["status"] == "unsubscribed"
    assert operator.get(path).json()["status"] == "unsubscribed"


def test_ready_means_settings_database_and_migrations(client: TestClient, engine: sa.Engine) -> None:
    response = client.get("/ready")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert response.json()["checks"] == {"settings": "ok", "database": "ok", "migrations": "ok"}
    assert response.json()["prices_are_fresh"] is True
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE latest_quotes SET observed_at = observed_at - interval '2 hours'"))
    old = client.get("/ready")
    assert (old.status_code, old.json()["prices_are_fresh"]) == (200, False)
