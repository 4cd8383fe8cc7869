"""Every route is compared with the access lists, so that nothing is public by accident."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount
from starlette.websockets import WebSocketDisconnect

from coinwatch.access.api_keys import SCOPES as SCOPE_NAMES
from coinwatch.access.api_keys import create_api_key, revoke_api_key
from coinwatch.audit import Actor
from coinwatch.web.middleware.access import (
    AIRFLOW_USERS,
    PUBLIC_EVERYWHERE,
    PUBLIC_STANDALONE,
    SCOPES,
    SUBSCRIBERS,
    Requirement,
    requirement_of,
)
from tests.web.seed import NOW

# Routes on no list.
UNLISTED = {
    ("GET", "/api/v1/subscribers"),
    ("DELETE", "/api/v1/subscribers"),
}
OPERATORS_ONLY = UNLISTED | set(SCOPES)


def is_for_operators(route: tuple[str, str]) -> bool:
    return route in OPERATORS_ONLY or (route[1].startswith("/operator") and "/sign-in" not in route[1])


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every route, including static files."""
    found = []
    for route in app.routes:
        if isinstance(route, Mount):
            found.append(("GET", route.path))
        else:
            found += [(method, route.path) for method in route.methods - {"HEAD"}]
    return sorted(found)


def call(client: TestClient, method: str, path: str, root: str = "") -> int:
    path = (
        path.replace("/static", "/static/styles/coinwatch.css")
        .replace("/stream", "/stream?events=none")  # rejected, because a stream would not end
        .replace("{coin}", "BTC")
        .replace("{subscription_id}", "1")
        .replace("{page:path}", "history")
    )
    return client.request(method, root + re.sub(r"\{\w+\}", "x", path)).status_code


def mounted(app: FastAPI) -> FastAPI:
    return next(route.app for route in app.routes if isinstance(route, Mount))


@pytest.mark.usefixtures("market")
def test_only_public_routes_are_accessible_without_login(standalone: FastAPI, client: TestClient) -> None:
    for method, path in routes_of(standalone):
        denied = call(client, method, path) == 401
        assert denied is ((method, path) not in PUBLIC_STANDALONE), (method, path)


@pytest.mark.usefixtures("market")
def test_inside_airflow_only_health_and_static_files_need_no_login(
    inside: FastAPI, inside_as: Callable[..., TestClient]
) -> None:
    assert {("GET", "/health"), ("GET", "/ready"), ("GET", "/static")} == PUBLIC_EVERYWHERE
    for method, path in routes_of(mounted(inside)):
        denied = call(inside_as(None), method, path, "/coinwatch") == 401
        assert denied is ((method, path) not in PUBLIC_EVERYWHERE), (method, path)


@pytest.mark.usefixtures("market")
def test_airflow_viewers_can_read_and_operators_can_write(
    inside: FastAPI, inside_as: Callable[..., TestClient]
) -> None:
    for method, path in routes_of(mounted(inside)):
        denied = call(inside_as("viewer"), method, path, "/coinwatch") == 403
        assert denied is is_for_operators((method, path)), (method, path)
        status = call(inside_as("admin"), method, path, "/coinwatch")
        assert status == 401 if (method, path) in SUBSCRIBERS else status not in {401, 403}, (method, path)


@pytest.mark.usefixtures("market")
def test_token_gives_access_to_operator_routes(operator: TestClient) -> None:
    for method, path in OPERATORS_ONLY:
        assert call(operator, method, path) not in {401, 403}, (method, path)


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("inside_airflow", [False, True])
def test_api_key_gives_access_to_the_routes_of_its_scopes(
    engine: sa.Engine, client: TestClient, inside_as: Callable[..., TestClient], inside_airflow: bool
) -> None:
    browser, root = (inside_as(None), "/coinwatch") if inside_airflow else (client, "")
    for scope in SCOPE_NAMES:
        _, token = create_api_key(engine, Actor("ada", "cli", NOW), scope, [scope], None)
        browser.headers["Authorization"] = f"Bearer {token}"
        for route in OPERATORS_ONLY:
            allowed = scope in {SCOPES.get(route), "operator"}
            assert (call(browser, *route, root) != 403) is allowed, (scope, route)
        assert call(browser, "GET", "/api/v1/prices", root) == 200


@pytest.mark.usefixtures("market")
def test_revoked_api_key_is_rejected(engine: sa.Engine, client: TestClient) -> None:
    key_id, token = create_api_key(engine, Actor("ada", "cli", NOW), "all", ["operator"], None)
    client.headers["Authorization"] = f"Bearer {token}"
    assert client.get("/api/v1/status").status_code == 200
    revoke_api_key(engine, Actor("ada", "cli", NOW), key_id)
    assert client.get("/api/v1/status").status_code == 401
    assert client.get("/api/v1/prices").status_code == 401


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", "Bearer operators-token-of-this-tes", "bearer x y"])
def test_invalid_token_is_rejected_everywhere_except_health(client: TestClient, header: str) -> None:
    assert client.get("/api/v1/status", headers={"Authorization": header}).status_code == 401
    assert client.get("/api/v1/prices", headers={"Authorization": header}).status_code == 401
    assert client.get("/health", headers={"Authorization": header}).status_code == 200


def test_other_authorization_schemes_are_ignored(client: TestClient) -> None:
    assert client.get("/api/v1/prices", headers={"Authorization": "Basic dXNlcjpwYXNz"}).status_code == 200


def test_access_rules_cover_every_route(standalone: FastAPI) -> None:
    lists = (PUBLIC_STANDALONE, AIRFLOW_USERS, SUBSCRIBERS, set(SCOPES), UNLISTED)
    listed = [route for routes in lists for route in routes]
    operator_pages = [route for route in routes_of(standalone) if is_for_operators(route) and route not in listed]
    assert sorted(routes_of(standalone)) == sorted([*listed, *operator_pages])


def test_unlisted_route_requires_operator() -> None:
    assert requirement_of("GET", "/new/route", inside_airflow=False) is Requirement.OPERATOR
    assert requirement_of("POST", "/", inside_airflow=True) is Requirement.OPERATOR


def test_websockets_are_rejected(standalone: FastAPI, client: TestClient) -> None:
    standalone.add_api_websocket_route("/live", lambda websocket: websocket.accept())
    with pytest.raises(WebSocketDisconnect) as denied, client.websocket_connect("/live"):
        pass
    assert denied.value.code == 1008


def test_missing_login_explains_how_to_authenticate(client: TestClient) -> None:
    response = client.get("/api/v1/status")
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["code"] == "unauthorized"
    assert "COINWATCH_API_TOKEN" in response.json()["detail"]
    page = client.get("/api/v1/status", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert "Log in to continue" in page.text
