"""The number of requests per minute, and the headers that say how many are left."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.web.app import create_app
from coinwatch.web.middleware import quota
from coinwatch.web.middleware.identification import identify_by_token
from tests.web.seed import NOW, TOKEN, web_settings

LIMIT = 12


@pytest.fixture
def make_client(engine: sa.Engine, market: None) -> Callable[..., TestClient]:
    """A client from ``peer`` of an app with a limit of 12 requests per minute."""
    settings = web_settings(requests_per_minute=LIMIT)
    identify = identify_by_token(lambda: settings)
    app = create_app(lambda: engine, lambda: settings, identify=identify, inside_airflow=False, clock=lambda: NOW)

    def make(peer: str = "203.0.113.1", **headers: str) -> TestClient:
        return TestClient(app, client=(peer, 4711), headers=headers, follow_redirects=False)

    return make


def remaining(client: TestClient, path: str) -> int:
    header = client.get(path).headers["ratelimit"]
    return int(header.split(";r=")[1].partition(";")[0])


def test_every_response_has_the_policy_and_what_is_left(make_client: Callable[..., TestClient]) -> None:
    client = make_client()
    for number, path in enumerate(("/api/v1/prices", "/api/v1/prices/nope", "/nothing", "/api/v1/status", "/docs"), 1):
        headers = client.get(path).headers
        assert headers["ratelimit-policy"] == '"requests";q=12;w=60', path
        assert headers["ratelimit"] == f'"requests";r={LIMIT - number};t=60', path


def test_too_many_requests_say_how_long_to_wait(make_client: Callable[..., TestClient]) -> None:
    client = make_client()
    assert [client.get("/api/v1/movers").status_code for _ in range(LIMIT + 1)] == [200] * LIMIT + [429]
    rejected = client.get("/api/v1/movers")
    assert rejected.json()["code"] == "too_many_requests"
    assert 1 <= int(rejected.headers["retry-after"]) <= 60
    assert ";r=0;" in rejected.headers["ratelimit"]
    page = client.get("/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (429, "text/html; charset=utf-8")
    assert client.get("/health").status_code == 200, "load balancers are not limited"
    assert make_client("203.0.113.2").get("/api/v1/movers").status_code == 200


def test_addresses_of_one_ipv6_network_share_a_quota(make_client: Callable[..., TestClient]) -> None:
    assert remaining(make_client("2001:db8::1"), "/docs") == LIMIT - 1
    assert remaining(make_client("2001:db8::ffff:2"), "/docs") == LIMIT - 2
    assert remaining(make_client("2001:db8:0:1::1"), "/docs") == LIMIT - 1


def test_long_ranges_cost_more_and_health_checks_nothing(make_client: Callable[..., TestClient]) -> None:
    client = make_client()
    assert remaining(client, "/api/v1/candles/BTC?exchange=coinbase") == LIMIT - 5
    assert remaining(client, "/api/v1/history/BTC?exchange=coinbase") == LIMIT - 10
    assert remaining(client, "/health") == LIMIT - 10
    assert client.get("/api/v1/candles/BTC?exchange=coinbase").status_code == 429, "5 are more than the 2 left"
    assert remaining(client, "/api/v1/prices") == 1


def test_accepted_keys_have_a_quota_of_their_own(make_client: Callable[..., TestClient]) -> None:
    anonymous, known = make_client(), make_client(Authorization=f"Bearer {TOKEN}")
    assert remaining(known, "/api/v1/prices") == LIMIT - 1, "before it was accepted, the network counts"
    assert remaining(known, "/api/v1/prices") == LIMIT - 1
    assert remaining(anonymous, "/api/v1/prices") == LIMIT - 2
    for number in range(LIMIT):
        invented = make_client(Authorization=f"Bearer invented-{number}")
        invented.get("/api/v1/prices")
    assert anonymous.get("/api/v1/prices").status_code == 429, "tokens that are not valid evade nothing"
    assert known.get("/api/v1/prices").status_code == 200


def test_without_a_limit_there_are_no_headers(engine: sa.Engine, market: None) -> None:
    settings = web_settings(requests_per_minute=0)
    identify = identify_by_token(lambda: settings)
    app = create_app(lambda: engine, lambda: settings, identify=identify, inside_airflow=False, clock=lambda: NOW)
    response = TestClient(app).get("/api/v1/prices")
    assert response.status_code == 200
    assert "ratelimit" not in response.headers


def test_quota_resets_after_a_minute() -> None:
    clock = [1000.0]
    limiter = quota.RequestQuota(lambda *_: None, limit=lambda: 2, clock=lambda: clock[0])  # type: ignore[arg-type, return-value]
    assert [limiter._count("a", 1, 2) for _ in range(3)] == [(1, 60), (0, 60), (-1, 60)]
    clock[0] += 59.5
    assert limiter._count("a", 1, 2) == (-1, 1)
    clock[0] += 0.5
    assert limiter._count("a", 1, 2) == (1, 60)


def test_only_the_latest_callers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "MAX_CALLERS", 2)
    limiter = quota.RequestQuota(lambda *_: None, limit=lambda: 9)  # type: ignore[arg-type, return-value]
    for caller in "abca":
        limiter._count(caller, 1, 9)
    assert list(limiter.used) == ["c", "a"]
