"""Security headers, cross-site requests, limits, and error responses."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.database import create_engine
from coinwatch.errors import ConfigurationError
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import Settings, load_settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.middleware.identification import identify_by_token
from coinwatch.web.templating import WEB_ROOT
from tests.support.ports import free_port

HTML = {"Accept": "text/html"}
FORM = {"email": "ada@example.org", "coin": "BTC", "threshold_percent": "2.5"}


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/health", "/static/styles/coinwatch.css", "/api/v1/status", "/confirm/x"]
)
def test_every_response_has_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path, headers=HTML).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "strict-origin"
    assert headers["x-robots-tag"] == "noindex, nofollow"
    assert headers["cache-control"] == ("no-cache" if "static" in path else "no-store")


def test_only_airflow_may_embed_the_pages(inside_as: Callable[..., TestClient]) -> None:
    headers = inside_as("viewer").get("/coinwatch/").headers
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "SAMEORIGIN"


def test_templates_comply_with_the_content_security_policy() -> None:
    for template in (WEB_ROOT / "templates").glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), template
        assert not re.search(r"\s(style|on[a-z]+)=", text), template
        assert "target=" not in text, f"{template}: links cannot open windows in Airflow's frame"
        assert "| safe" not in text
        assert "http" not in text.replace("JSON over HTTP", ""), f"{template}: nothing is loaded from other hosts"


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"Origin": "http://airflow.test"}, True),
        ({"Origin": "http://airflow.test", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://behind.a.proxy", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://airflow.test:9999"}, False),
        ({"Origin": "http://evil.test", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://airflow.test", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({}, False),
    ],
)
@pytest.mark.usefixtures("market")
def test_cross_site_requests_with_cookies_are_rejected(
    inside: FastAPI, engine: sa.Engine, headers: dict[str, str], accepted: bool
) -> None:
    browser = TestClient(inside, base_url="http://airflow.test", cookies={"as": "admin"}, headers=headers)
    response = browser.post("/coinwatch/subscribe", data=FORM, headers=HTML)
    assert response.status_code == (201 if accepted else 403)
    assert len(list_subscriptions(engine)) == (1 if accepted else 0)
    assert browser.delete("/coinwatch/api/v1/subscriptions/1").status_code == (200 if accepted else 403)
    assert browser.get("/coinwatch/").status_code == 200


@pytest.mark.parametrize("has_length", [True, False])
def test_large_body_is_rejected_with_or_without_content_length(client: TestClient, has_length: bool) -> None:
    body = b"x" * 70_000
    content = body if has_length else (body[start : start + 1000] for start in range(0, len(body), 1000))
    response = client.post("/subscribe", content=content)
    assert response.status_code == 413
    assert response.json()["code"] == "too_large"


def test_submitted_values_are_escaped(client: TestClient, engine: sa.Engine, settings: Settings) -> None:
    sync_catalog(engine, settings)
    response = client.post("/subscribe", data=FORM | {"coin": "<script>alert(1)</script>", "email": '"><img src=x>'})
    assert "<script>alert" not in response.text
    assert "<img" not in response.text


def broken_app(settings: Settings, visitor: Visitor | None = None) -> FastAPI:
    """An app whose database is not reachable."""
    engine = create_engine(f"postgresql://coinwatch_app:hunter2@127.0.0.1:{free_port()}/coinwatch")

    async def identify(request: object) -> Visitor | None:
        return visitor

    return create_app(lambda: engine, lambda: settings, identify=identify, inside_airflow=visitor is not None)


def test_nul_character_is_rejected(client: TestClient, engine: sa.Engine, settings: Settings) -> None:
    sync_catalog(engine, settings)
    request = {"email": "ada@example.org", "coin": "B\0TC", "threshold_percent": 2.5}
    for response in (
        client.get("/coins/%00"),
        client.get("/api/v1/candles/BTC?exchange=%00"),
        client.post("/subscribe", data=request),
        client.post("/subscribe/preview", data=request),
        client.post("/subscribe", data=request | {"kind": "crosses", "level": "70,000"}),
        client.post("/api/v1/subscriptions", json=request),
        client.get("/api/v1/backtest", params={"coin": "B\0TC", "threshold_percent": 5}),
        client.post("/SubscribeCoin", json={"email": "ada@example.org", "coin_name": "B\0TC", "percentage": 2}),
        client.post("/sign-in", data={"email": "ada\0@example.org"}),
    ):
        assert response.status_code == 422
        assert "NUL character" in response.text


def test_unavailable_database_is_reported_without_details(settings: Settings) -> None:
    client = TestClient(broken_app(settings))
    with capture_logs() as logs:
        page = client.get("/", headers=HTML)
        response = client.get("/api/v1/prices")
        health = client.get("/health")
    assert (page.status_code, response.status_code, health.status_code) == (503, 503, 503)
    assert "Temporarily unavailable" in page.text
    assert response.json()["code"] == "unavailable"
    assert health.json()["status"] == "unavailable"
    assert "unreachable" in health.json()["reason"]
    for text in (page.text, response.text, health.text):
        assert "127.0.0.1" not in text
        assert "hunter2" not in text
    assert any("127.0.0.1" in str(line.get("error")) for line in logs), "the log says which server"
    assert "hunter2" not in str(logs)


def test_unavailable_database_is_reported_to_operators_with_details(settings: Settings) -> None:
    page = TestClient(broken_app(settings, Visitor("admin", operator=True))).get("/", headers=HTML)
    assert page.status_code == 503
    assert "127.0.0.1:" in page.text
    assert "hunter2" not in page.text


def test_missing_setting_is_reported_inside_airflow(settings: Settings) -> None:
    def missing() -> sa.Engine:
        raise ConfigurationError("COINWATCH_DATABASE_URL is not set.")

    async def identify(request: object) -> Visitor | None:
        return Visitor("admin", operator=True)

    app = create_app(missing, lambda: settings, identify=identify, inside_airflow=True)
    page = TestClient(app).get("/", headers=HTML)
    assert page.status_code == 503
    assert "COINWATCH_DATABASE_URL is not set." in page.text
    assert TestClient(app).get("/health").status_code == 503


def invalid_settings() -> Settings:
    """What COINWATCH_EXCHANGES__KRAKENN__API_KEY, a misspelled name, does."""
    return load_settings(exchanges={"krakenn": {"api_key": "hunter2"}})


def engine_of_invalid_settings() -> sa.Engine:
    return create_engine(invalid_settings().require("database_url"))


@pytest.mark.parametrize("operator", [False, True])
def test_invalid_setting_is_described_to_operators_only(operator: bool) -> None:
    async def identify(request: object) -> Visitor | None:
        return Visitor("viewer", operator=operator)

    app = create_app(engine_of_invalid_settings, invalid_settings, identify=identify, inside_airflow=True)
    with capture_logs() as logs:
        responses = [TestClient(app).get(path) for path in ("/", "/coins", "/subscribe", "/api/v1/prices", "/manage/x")]
    for response in responses:
        assert response.status_code == 503
        assert ("exchanges.krakenn.name" in response.text) == operator
        assert "hunter2" not in response.text
    assert "exchanges.krakenn.name" in str(logs)
    assert "hunter2" not in str(logs)


def test_invalid_setting_is_a_503_for_visitors_with_and_without_a_token() -> None:
    app = create_app(
        engine_of_invalid_settings,
        invalid_settings,
        identify=identify_by_token(invalid_settings),
        inside_airflow=False,
    )
    browser = TestClient(app)
    for headers in ({}, {"Authorization": "Bearer x"}):
        response = browser.get("/api/v1/prices", headers=headers)
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert "krakenn" not in response.text
        assert "hunter2" not in response.text


def test_missing_tables_say_to_migrate(postgres: object, settings: Settings) -> None:
    engine = create_engine(postgres.url("postgres"))  # type: ignore[attr-defined]

    async def identify(request: object) -> Visitor | None:
        return Visitor("admin", operator=True)

    app = create_app(lambda: engine, lambda: settings, identify=identify, inside_airflow=True)
    assert "coinwatch migrate" in TestClient(app).get("/", headers=HTML).text
    assert TestClient(app).get("/health").status_code == 503
    engine.dispose()


def test_unexpected_error_is_logged_and_has_security_headers(settings: Settings) -> None:
    def surprise() -> sa.Engine:
        raise RuntimeError("a secret detail")

    app = create_app(surprise, lambda: settings, identify=identify_by_token(lambda: settings), inside_airflow=False)
    with capture_logs() as logs:
        page = TestClient(app).get("/", headers=HTML)
    assert page.status_code == 500
    assert "a secret detail" not in page.text
    assert "content-security-policy" in page.headers
    assert [line["event"] for line in logs] == ["request failed", "request"]


def test_tokens_in_links_are_not_logged(client: TestClient) -> None:
    with capture_logs() as logs:
        client.get("/confirm/a-very-secret-token")
    assert logs[-1]["route"] == "/confirm/{token}"
    assert "a-very-secret-token" not in str(logs)


@pytest.mark.usefixtures("market")
def test_too_long_address_is_rejected(client: TestClient) -> None:
    response = client.get("/api/v1/prices", params={"exchange": "x" * 8192})
    assert (response.status_code, response.json()["code"]) == (414, "uri_too_long")
    assert client.get("/", params={"utm": "x" * 4000}).status_code == 200
