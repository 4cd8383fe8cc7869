"""Responses to a known and an unknown address are the same and take the same time."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from time import perf_counter
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from starlette.responses import Response

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.users import LinkKey, get_link_key, get_user_id
from coinwatch.mail.links import confirmation_link, manage_link, snooze_link, unsubscribe_link
from tests.support.settings import make_settings
from tests.support.subscriptions import subscribe
from tests.web.seed import NOW
from tests.web.subscribing import path_of

KNOWN, UNKNOWN = "known@example.org", "other@example.org"
ROUNDS = 12
# A difference that an attacker could measure despite the noise of a network would be a query or an email: tens of
# percent. This machine is shared, so the test allows twice the time, of medians, before it fails.
TOLERANCE = 2.0
SECONDS = 0.02
CSV = "coin,exchange,kind,threshold_percent\nBTC,kraken,change_over_window,7\nETH,kraken,change_over_window,8\n"
FORGER = make_settings(secret_key="the-secret-of-somebody-else-entirely")


def form(email: str) -> dict[str, str]:
    return {"email": email, "coin": "BTC", "exchange": "kraken", "threshold_percent": "7", "direction": "down"}


CALLS: dict[str, Callable[[TestClient, str], Response]] = {
    "link": lambda client, email: client.post("/sign-in", data={"email": email}),
    "form": lambda client, email: client.post("/subscribe", data=form(email)),
    "api": lambda client, email: client.post(
        "/api/v1/subscriptions", json={"email": email, "coin": "BTC", "exchange": "kraken", "threshold_percent": 7}
    ),
    "bulk": lambda client, email: client.post("/subscribe/bulk", data={"email": email, "csv": CSV, "action": "create"}),
}
# Links with a signature that is not ours, as a stranger could make for any key that names a user.
LINKS: dict[str, Callable[[TestClient, LinkKey], Response]] = {
    "confirm": lambda client, key: client.post(path_of(confirmation_link(FORGER, key, 1))),
    "snooze": lambda client, key: client.post(path_of(snooze_link(FORGER, key, 1)), data={"hours": "1"}),
    "unsubscribe": lambda client, key: client.post(path_of(unsubscribe_link(FORGER, key, [1]))),
    "manage": lambda client, key: client.post(path_of(manage_link(FORGER, key))),
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
    status = check_same(
        lambda: (call(stranger, KNOWN), KNOWN),
        lambda number: (call(stranger, f"{number}.{UNKNOWN}"), f"{number}.{UNKNOWN}"),
    )
    assert 200 <= status < 300


@pytest.mark.parametrize("call", LINKS.values(), ids=LINKS)
def test_forged_link_does_not_show_whether_a_user_exists(
    stranger: TestClient, engine: sa.Engine, call: Callable[[TestClient, LinkKey], Response]
) -> None:
    key = get_link_key(engine, get_user_id(engine, KNOWN))
    status = check_same(lambda: (call(stranger, key), ""), lambda _: (call(stranger, replace(key, key=uuid4())), ""))
    assert 400 <= status < 500


def check_same(known: Callable[[], tuple[Response, str]], unknown: Callable[[int], tuple[Response, str]]) -> int:
    """Call both in turns; check that the responses, without the address, and the median times are the same.

    Returns the status.
    """
    seconds: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    pages = set()
    for number in range(ROUNDS):
        for kind, call in ((KNOWN, known), (UNKNOWN, partial(unknown, number))):
            started = perf_counter()
            response, address = call()
            seconds[kind].append(perf_counter() - started)
            text = bytes(response.content).decode()
            pages.add(
                (response.status_code, re.sub(r"\d+", "N", text.replace(address, "ADDRESS") if address else text))
            )
    assert len(pages) == 1
    slower, faster = sorted((median(seconds[KNOWN]), median(seconds[UNKNOWN])), reverse=True)
    assert slower < TOLERANCE * faster + SECONDS
    return pages.pop()[0]
