"""Operators export and erase subscribers."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.users import find_user_id
from tests.web.subscribing import ADA, add_subscription

pytestmark = pytest.mark.usefixtures("market")


def test_subscriber_is_exported_and_erased(operator: TestClient, engine: sa.Engine) -> None:
    subscription = add_subscription(engine)
    known = operator.get("/api/v1/subscribers", params={"email": "ADA@example.org"}).json()
    assert (known["email"], known["subscriptions"][0]["id"]) == (ADA, subscription.id)
    assert operator.delete("/api/v1/subscribers", params={"email": ADA}).status_code == 204
    assert find_user_id(engine, ADA) is None
    again = operator.delete("/api/v1/subscribers", params={"email": ADA})
    assert (again.status_code, again.json()["code"]) == (404, "not_found")
