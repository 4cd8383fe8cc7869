"""Operators change subscriptions, and take along or erase people, through the API."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import Subscription, list_subscriptions
from coinwatch.alerts.users import find_user_id
from tests.support.subscriptions import subscribe
from tests.web.conftest import NOW

pytestmark = pytest.mark.usefixtures("market")
ADA = "ada@example.org"


@pytest.fixture
def own(engine: sa.Engine) -> Subscription:
    return subscribe(engine, email=ADA, coin="BTC", rule=Rule(threshold=5.0), now=NOW, confirmed=True)


def test_an_operator_changes_pauses_and_snoozes(operator: TestClient, own: Subscription) -> None:
    path = f"/api/v1/subscriptions/{own.id}"
    changed = operator.patch(path, json={"threshold_percent": 2.5, "direction": "up"}).json()
    assert (changed["threshold"], changed["direction"], changed["cooldown_seconds"]) == (2.5, "up", 0)
    ends = operator.patch(path, json={"expires_at": "2026-12-01T00:00:00Z"}).json()
    assert (ends["expires_at"], ends["threshold"]) == ("2026-12-01T00:00:00Z", 2.5)
    assert operator.patch(path, json={"expires_at": None}).json()["expires_at"] is None
    assert operator.patch(path, json={"status": "paused"}).json()["status"] == "paused"
    assert operator.patch(path, json={"status": "active"}).json()["status"] == "active"
    asleep = operator.patch(path, json={"snoozed_until": "2026-11-21T00:00:00Z"}).json()
    assert asleep["snoozed_until"] == "2026-11-21T00:00:00Z"
    assert operator.patch(path, json={"snoozed_until": None}).json()["snoozed_until"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "paused", "direction": "up"}, "status"),
        ({"status": None}, "status"),
        ({"level": 70000}, "level"),
        ({"threshold_percent": None}, "threshold_percent"),
        ({"threshold_percent": 0}, "threshold"),
        ({"window_seconds": 60}, "window_seconds"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-05:00"}, "expires_at"),
        ({"snoozed_until": "2030-01-01T00:00:00Z"}, "snoozed_until"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(
    operator: TestClient, engine: sa.Engine, own: Subscription, body: dict[str, object], field: str
) -> None:
    answer = operator.patch(f"/api/v1/subscriptions/{own.id}", json=body)
    assert answer.status_code == 422
    assert list(answer.json()["fields"]) == [field]
    assert list_subscriptions(engine) == [own]


def test_only_the_person_starts_again_what_has_ended(operator: TestClient, own: Subscription) -> None:
    operator.delete(f"/api/v1/subscriptions/{own.id}")
    answer = operator.patch(f"/api/v1/subscriptions/{own.id}", json={"status": "active"})
    assert answer.status_code == 422
    assert "only its person can start it" in answer.json()["message"]
    twin = operator.post("/api/v1/subscriptions", json={"email": ADA, "coin": "BTC", "threshold_percent": 7})
    operator.post("/api/v1/subscriptions", json={"email": ADA, "coin": "BTC", "threshold_percent": 8})
    same = operator.patch(f"/api/v1/subscriptions/{twin.json()['id']}", json={"threshold_percent": 8})
    assert (same.status_code, same.json()["error"]) == (409, "already_exists")
    assert operator.patch("/api/v1/subscriptions/999", json={"status": "active"}).status_code == 404


def test_a_person_is_taken_along_and_erased(operator: TestClient, engine: sa.Engine, own: Subscription) -> None:
    known = operator.get("/api/v1/people", params={"email": "ADA@example.org"}).json()
    assert (known["email"], known["subscriptions"][0]["id"]) == (ADA, own.id)
    assert operator.delete("/api/v1/people", params={"email": ADA}).status_code == 204
    assert find_user_id(engine, ADA) is None
    again = operator.delete("/api/v1/people", params={"email": ADA})
    assert (again.status_code, "Nothing is known" in again.json()["message"]) == (404, True)
