"""ETag, 304 and Cache-Control, compression, and requests of other sites' scripts (CORS)."""

import gzip
from collections.abc import Callable

import brotli
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.web.api import prices
from coinwatch.web.app import create_app
from coinwatch.web.middleware import caching
from coinwatch.web.middleware.caching import matches, max_age
from coinwatch.web.middleware.identification import identify_by_token
from tests.web.seed import NOW, TOKEN, web_settings
from tests.web.subscribing import add_subscription, manage_path

pytestmark = pytest.mark.usefixtures("market")
PRICES = "/api/v1/prices/BTC"
DASHBOARD = "https://dashboard.example.org"


@pytest.fixture
def statements(engine: sa.Engine) -> list[str]:
    """Transactions that have begun."""
    begun: list[str] = []
    event.listen(engine, "begin", lambda connection: begun.append("begin"))
    return begun


def test_unchanged_prices_are_not_sent_again(client: TestClient, statements: list[str]) -> None:
    first = client.get(PRICES)
    assert first.headers["cache-control"] == "public, max-age=2"
    statements.clear()
    again = client.get(PRICES, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert {name: again.headers[name] for name in ("etag", "cache-control")} == {
        name: first.headers[name] for name in ("etag", "cache-control")
    }
    assert "Accept" in again.headers["vary"]
    assert again.headers["x-content-type-options"] == "nosniff"
    assert statements == [], "while it is fresh, a 304 needs no query"
    other = client.get(PRICES, headers={"If-None-Match": '"another", W/"version"'})
    assert (other.status_code, other.json()) == (200, first.json())


def test_etag_changes_with_prices_but_not_with_their_age(
    standalone: FastAPI, client: TestClient, engine: sa.Engine
) -> None:
    site = standalone.state.site
    first = client.get("/api/v1/prices")
    object.__setattr__(site, "clock", lambda: NOW.replace(second=45))
    later = client.get("/api/v1/prices")
    assert later.json()[0]["age_seconds"] == first.json()[0]["age_seconds"] + 15
    assert later.headers["etag"] == first.headers["etag"]
    csv = client.get("/api/v1/prices?format=csv")
    assert csv.headers["etag"] != first.headers["etag"], "each format is a representation of its own"
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE latest_quotes SET price = price * 1.01"))
    assert client.get("/api/v1/prices").headers["etag"] != first.headers["etag"]


@pytest.fixture
def reusing(engine: sa.Engine) -> TestClient:
    """A client of an app that reuses responses, as ``coinwatch web`` does."""
    settings = web_settings()
    identify = identify_by_token(lambda: settings)
    app = create_app(
        lambda: engine,
        lambda: settings,
        identify=identify,
        inside_airflow=False,
        clock=lambda: NOW,
        reuse_responses=True,
    )
    return TestClient(app, base_url="http://coinwatch.test", follow_redirects=False)


def test_fresh_prices_are_reused_for_other_clients(
    reusing: TestClient, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "MAX_REUSE_SECONDS", 60.0)
    monkeypatch.setattr(prices, "CURRENT_SECONDS", 60)
    first = reusing.get(PRICES)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE latest_quotes SET price = price * 1.01"))
    again = reusing.get(PRICES, headers={"Origin": DASHBOARD})
    assert (again.status_code, again.content, again.headers["age"]) == (200, first.content, "0")
    assert again.headers["x-content-type-options"] == "nosniff"
    for name in ("etag", "cache-control", "content-type", "vary"):
        assert again.headers[name] == first.headers[name]
    assert reusing.get(PRICES, headers={"Accept": "text/csv"}).content != first.content
    unconditional = reusing.get(PRICES, headers={"Cache-Control": "no-cache"})
    assert unconditional.json()[0]["price"] == pytest.approx(1.01 * first.json()[0]["price"])
    monkeypatch.setattr(caching, "MAX_REUSE_SECONDS", 0.0)
    reusing.get(PRICES, headers={"Cache-Control": "no-cache"})
    assert "age" not in reusing.get(PRICES).headers


def test_reused_responses_take_limited_memory(reusing: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MAX_REUSE_SECONDS", 60.0)
    monkeypatch.setattr(prices, "CURRENT_SECONDS", 60)
    monkeypatch.setattr(caching, "MAX_KEPT_BYTES", 1.5 * len(reusing.get(PRICES).content))
    reusing.get(f"{PRICES}?exchange=coinbase")
    reusing.get("/api/v1/prices/ETH")
    assert "age" not in reusing.get(PRICES).headers, "the oldest is dropped"
    monkeypatch.setattr(caching, "MAX_KEPT_BYTES", 0)
    assert [reusing.get("/api/v1/prices/SOL").status_code for _ in range(2)] == [200, 200]


def test_only_public_responses_are_reused(reusing: TestClient) -> None:
    operator = {"Authorization": f"Bearer {TOKEN}"}
    for path in ("/api/v1/status", "/coins/BTC", "/operator", "/health"):
        for _ in range(2):
            assert "age" not in reusing.get(path, headers=operator).headers, path


def test_pages_errors_and_personal_data_are_not_stored(client: TestClient, operator: TestClient) -> None:
    for caller, path in ((client, "/"), (client, "/api/v1/prices/nope"), (operator, "/api/v1/subscriptions")):
        response = caller.get(path)
        assert response.headers["cache-control"] == "no-store", path
        assert "etag" not in response.headers, path


def test_inside_airflow_only_the_browser_may_store_responses(inside_as: Callable[..., TestClient]) -> None:
    first = inside_as("viewer").get(f"/coinwatch{PRICES}")
    assert first.headers["cache-control"] == "private, max-age=2"
    known = {"If-None-Match": first.headers["etag"]}
    assert inside_as("viewer").get(f"/coinwatch{PRICES}", headers=known).status_code == 304
    assert inside_as(None).get(f"/coinwatch{PRICES}", headers=known).status_code == 401


@given(st.text(max_size=40), st.sampled_from(['W/"a"', '"b"']))
def test_only_the_same_version_matches(text: str, etag: str) -> None:
    assert matches(f'W/"x", {etag}', etag)
    assert matches("*", etag)
    assert not matches(text.replace("*", "").replace('"', ""), etag)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("public, max-age=60, immutable", 60), ("max-age=0", 0), ("no-cache", 0), ("max-age=soon", 0), ("", 0)],
)
def test_max_age_is_read(header: str, seconds: int) -> None:
    assert max_age(header) == seconds


@pytest.mark.parametrize(("encoding", "unpack"), [("gzip", gzip.decompress), ("br", brotli.decompress)])
def test_responses_are_compressed(client: TestClient, encoding: str, unpack: Callable[[bytes], bytes]) -> None:
    plain = client.get("/api/v1/prices", headers={"Accept-Encoding": "identity"})
    with client.stream("GET", "/api/v1/prices", headers={"Accept-Encoding": encoding}) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == encoding
    assert {"Accept", "Accept-Encoding"} <= {name.strip() for name in response.headers["vary"].split(",")}
    assert unpack(raw) == plain.content
    assert len(raw) < len(plain.content) / 3
    assert response.headers["etag"] == plain.headers["etag"]


def test_pages_with_secrets_are_not_compressed(client: TestClient, engine: sa.Engine) -> None:
    add_subscription(engine)
    page = client.get(manage_path(engine, web_settings()), headers={"Accept-Encoding": "gzip, br"})
    assert page.status_code == 200
    assert "content-encoding" not in page.headers, "see BREACH"
    assert client.get("/", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"


@pytest.fixture
def with_origins(engine: sa.Engine) -> Callable[[str], TestClient]:
    """A client of an app with these origins in COINWATCH_CORS_ORIGINS."""

    def make(origins: str) -> TestClient:
        settings = web_settings(cors_origins=origins)
        identify = identify_by_token(lambda: settings)
        app = create_app(lambda: engine, lambda: settings, identify=identify, inside_airflow=False, clock=lambda: NOW)
        return TestClient(app, base_url="http://coinwatch.test", follow_redirects=False)

    return make


def test_other_sites_have_no_access_by_default(client: TestClient) -> None:
    response = client.get(PRICES, headers={"Origin": DASHBOARD})
    assert not [name for name in response.headers if name.startswith("access-control")]
    preflight = client.options(PRICES, headers={"Origin": DASHBOARD, "Access-Control-Request-Method": "GET"})
    assert preflight.status_code in {401, 405}


def test_listed_sites_may_use_the_api(with_origins: Callable[[str], TestClient], engine: sa.Engine) -> None:
    client = with_origins(f"{DASHBOARD}/, http://localhost:3000")
    for path in (PRICES, "/api/v1/prices/nope", "/api/v1/status"):
        response = client.get(path, headers={"Origin": DASHBOARD})
        assert response.headers["access-control-allow-origin"] == DASHBOARD, path
        assert "RateLimit" in response.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in response.headers
        assert "Origin" in response.headers["vary"]
        other = client.get(path, headers={"Origin": "https://dashboard.example.org.evil.test"})
        assert "access-control-allow-origin" not in other.headers
        assert "Origin" in other.headers["vary"], "a cache must not mix them up"
    asked = {
        "Origin": DASHBOARD,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = client.options("/api/v1/subscriptions", headers=asked)
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    new = {"email": "ada@example.org", "coin": "BTC", "threshold_percent": 5}
    sent = {"Origin": DASHBOARD, "Sec-Fetch-Site": "cross-site"}
    assert client.post("/api/v1/subscriptions", json=new, headers={**sent, "Cookie": "a=b"}).status_code == 403
    assert client.post("/api/v1/subscriptions", json=new, headers=sent).status_code == 202
    assert len(list_subscriptions(engine)) == 1


def test_any_site_may_read_but_not_change_with_an_asterisk(with_origins: Callable[[str], TestClient]) -> None:
    client = with_origins("*")
    assert client.get(PRICES, headers={"Origin": DASHBOARD}).headers["access-control-allow-origin"] == "*"
    new = {"email": "ada@example.org", "coin": "BTC", "threshold_percent": 5}
    headers = {"Origin": DASHBOARD, "Sec-Fetch-Site": "cross-site"}
    assert client.post("/api/v1/subscriptions", json=new, headers=headers).status_code == 403


def test_operators_token_works_from_a_listed_site(with_origins: Callable[[str], TestClient]) -> None:
    client = with_origins(DASHBOARD)
    headers = {"Origin": DASHBOARD, "Authorization": f"Bearer {TOKEN}", "Sec-Fetch-Site": "cross-site"}
    assert client.get("/api/v1/status", headers=headers).headers["access-control-allow-origin"] == DASHBOARD
    assert client.delete("/api/v1/subscriptions/1", headers=headers).status_code == 404


@pytest.mark.parametrize("origins", ["dashboard.example.org", "https://a.example/path", "ftp://a.example", "https://"])
def test_invalid_origin_is_an_invalid_setting(origins: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        web_settings(cors_origins=origins)
