"""Responses to a known and an unknown address are the same and take the same time."""

import re
from collections.abc import Callable
from statistics import median
from time import perf_counter

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from starlette.responses import Response

from coinwatch.alerts.rules import Rule
from tests.support.subscriptions import subscribe
from tests.web.seed import NOW

KNOWN, UNKNOWN = "known@example.org", "other@example.org"
ROUNDS = 12
# A difference that an attacker could measure despite the noise of a network would be a query or an email: tens of
# percent. This machine is shared, so the test allows twice the time, of medians, before it fails.
TOLERANCE = 2.0
SECONDS = 0.02


def form(email: str) -> dict[str, str]:
    return {"email": email, "coin": "BTC", "exchange": "kraken", "threshold_percent": "7", "direction": "down"}


CALLS: dict[str, Callable[[TestClient, str], Response]] = {
    "link": lambda client, email: client.post("/sign-in", data={"email": email}),
    "form": lambda client, email: client.post("/subscribe", data=form(email)),
    "api": lambda client, email: client.post(
        "/api/v1/subscriptions", json={"email": email, "coin": "BTC", "exchange": "kraken", "threshold_percent": 7}
    ),
}


@pytest.fixture
def stranger(client: TestClient, engine: sa.Engine, market: None, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client whose calls are not limited, while one address has a confirmed subscription."""
    monkeypatch.setattr("coinwatch.web.dependencies.count_call", lambda *_: None)
    subscribe(engine, email=KNOWN, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=NOW, confirmed=True)
    client.headers["Origin"] = "http://coinwatch.test"
    return client


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_known_address_cannot_be_recognized(stranger: TestClient, call: Callable[[TestClient, str], Response]) -> None:
    seconds: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    pages = set()
    for number in range(ROUNDS):
        for kind, email in ((KNOWN, KNOWN), (UNKNOWN, f"{number}.{UNKNOWN}")):
            started = perf_counter()
            response = call(stranger, email)
            seconds[kind].append(perf_counter() - started)
            text = bytes(response.content).decode().replace(email, "ADDRESS")
            pages.add((response.status_code, re.sub(r"\d+", "N", text)))
    assert len(pages) == 1
    assert 200 <= pages.pop()[0] < 300
    slower, faster = sorted((median(seconds[KNOWN]), median(seconds[UNKNOWN])), reverse=True)
    assert slower < TOLERANCE * faster + SECONDS
