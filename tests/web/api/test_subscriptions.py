"""Operators list, change and end subscriptions."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscriptions import Subscription, list_subscriptions
from tests.web.problems import invalid_fields
from tests.web.subscribing import ADA, BOB, add_subscription

pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture
def subscription(engine: sa.Engine) -> Subscription:
    return add_subscription(engine)


def test_operator_lists_and_ends_subscriptions(operator: TestClient, engine: sa.Engine) -> None:
    for address in (ADA, BOB):
        operator.post("/api/v1/subscriptions", json={"email": address, "coin": "BTC", "threshold_percent": 2})
    assert len(operator.get("/api/v1/subscriptions").json()) == 2
    [bobs] = operator.get(f"/api/v1/subscriptions?email={BOB}").json()
    assert operator.delete(f"/api/v1/subscriptions/{bobs['id']}").json()["status"] == "unsubscribed"
    assert [found.status for found in list_subscriptions(engine)] == ["active", "unsubscribed"]
    assert operator.delete("/api/v1/subscriptions/999").status_code == 404
    assert operator.delete("/api/v1/subscriptions/abc").status_code == 422


def test_operator_changes_pauses_and_snoozes_subscription(operator: TestClient, subscription: Subscription) -> None:
    path = f"/api/v1/subscriptions/{subscription.id}"
    changed = operator.patch(path, json={"threshold_percent": 2.5, "direction": "up"}).json()
    assert (changed["threshold_percent"], changed["level"], changed["direction"]) == (2.5, None, "up")
    ends = operator.patch(path, json={"expires_at": "2026-12-01T00:00:00Z"}).json()
    assert (ends["expires_at"], ends["threshold_percent"]) == ("2026-12-01T00:00:00Z", 2.5)
    assert operator.patch(path, json={"expires_at": None}).json()["expires_at"] is None
    assert operator.patch(path, json={"status": "paused"}).json()["status"] == "paused"
    assert operator.patch(path, json={"status": "active"}).json()["status"] == "active"
    snoozed = operator.patch(path, json={"snoozed_until": "2026-11-21T00:00:00Z"}).json()
    assert snoozed["snoozed_until"] == "2026-11-21T00:00:00Z"
    assert operator.patch(path, json={"snoozed_until": None}).json()["snoozed_until"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "paused", "direction": "up"}, "status"),
        ({"status": None}, "status"),
        ({"level": 70000}, "level"),
        ({"threshold_percent": None}, "threshold_percent"),
        ({"threshold_percent": 0}, "threshold_percent"),
        ({"window_seconds": 60}, "window_seconds"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-05:00"}, "expires_at"),
        ({"snoozed_until": "2030-01-01T00:00:00Z"}, "snoozed_until"),
        ({"color": "red"}, "color"),
    ],
)
def test_invalid_change_changes_nothing(
    operator: TestClient, engine: sa.Engine, subscription: Subscription, body: dict[str, object], field: str
) -> None:
    response = operator.patch(f"/api/v1/subscriptions/{subscription.id}", json=body)
    assert response.status_code == 422
    assert invalid_fields(response) == [field]
    assert list_subscriptions(engine) == [subscription]


def test_operator_cannot_restart_ended_subscription(
    operator: TestClient, engine: sa.Engine, subscription: Subscription
) -> None:
    operator.delete(f"/api/v1/subscriptions/{subscription.id}")
    response = operator.patch(f"/api/v1/subscriptions/{subscription.id}", json={"status": "active"})
    assert response.status_code == 422
    assert list_subscriptions(engine)[0].status == "unsubscribed"
    other = operator.post("/api/v1/subscriptions", json={"email": ADA, "coin": "BTC", "threshold_percent": 7})
    operator.post("/api/v1/subscriptions", json={"email": ADA, "coin": "BTC", "threshold_percent": 8})
    same = operator.patch(f"/api/v1/subscriptions/{other.json()['id']}", json={"threshold_percent": 8})
    assert (same.status_code, same.json()["code"]) == (409, "already_exists")
    assert operator.patch("/api/v1/subscriptions/999", json={"status": "active"}).status_code == 404
