"""Addresses at internationalized domains: every form, route and link leads to the same user, however it is spelled."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.alerts.users import find_user_id
from tests.web.problems import field_errors
from tests.web.subscribing import queued_emails

pytestmark = pytest.mark.usefixtures("market")
STORED = "ada@xn--mller-kva.example"
SPELLINGS = ("ada@müller.example", "ADA@MÜLLER.example", "ada@mu\u0308ller.example", STORED)
FORM = {"coin": "BTC", "exchange": "", "direction": "up"}


def test_all_spellings_subscribe_one_user(client: TestClient, operator: TestClient, engine: sa.Engine) -> None:
    for number, email in enumerate(SPELLINGS, 1):
        assert client.post("/subscribe", data=FORM | {"email": email, "threshold_percent": str(number)}).is_success
        body = {"email": email, "coin": "BTC", "threshold_percent": 10 + number}
        assert operator.post("/api/v1/subscriptions", json=body).is_success
    found = list_subscriptions(engine)
    assert len(found) == 2 * len(SPELLINGS)
    assert {(subscription.user_id, subscription.email) for subscription in found} == {(found[0].user_id, STORED)}
    assert {email.rpartition(" ")[2] for email in queued_emails(engine)} == {STORED}
    for email in SPELLINGS:
        assert find_user_id(engine, email) == found[0].user_id
        assert len(operator.get("/api/v1/subscriptions", params={"email": email}).json()) == len(found)


def test_manage_page_accepts_any_spelling(client: TestClient, operator: TestClient, engine: sa.Engine) -> None:
    operator.post("/api/v1/subscriptions", json={"email": STORED, "coin": "BTC", "threshold_percent": 5})
    response = client.post("/sign-in", data={"email": STORED})
    assert response.status_code == 200
    assert SPELLINGS[0] in response.text
    assert queued_emails(engine) == [f"manage to {STORED}"]


def test_other_letters_before_the_at_sign_are_explained(client: TestClient, engine: sa.Engine) -> None:
    response = client.post("/subscribe", data=FORM | {"email": "jörg@example.org", "threshold_percent": "5"})
    assert response.status_code == 422
    assert "before the @ contains ö" in response.text
    body = {"email": "jörg@example.org", "coin": "BTC", "threshold_percent": 5}
    response = client.post("/api/v1/subscriptions", json=body)
    assert response.status_code == 422
    assert "ö" in field_errors(response)["email"]
    assert list_subscriptions(engine) == []
