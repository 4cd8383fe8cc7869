"""Nothing is public by accident: every route of both apps is held to the lists in access.py."""

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount
from starlette.websockets import WebSocketDisconnect

from coinwatch.web.middleware.access import PUBLIC_ALONE, PUBLIC_EVERYWHERE, Demand, demand_of

OPERATORS_ONLY = {
    ("GET", "/api/v1/subscriptions"),
    ("DELETE", "/api/v1/subscriptions/{subscription_id}"),
    ("PATCH", "/api/v1/subscriptions/{subscription_id}"),
    ("GET", "/api/v1/people"),
    ("DELETE", "/api/v1/people"),
    ("GET", "/api/v1/status"),
}


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of everything the app can answer, static files included."""
    found = []
    for route in app.routes:
        if isinstance(route, Mount):
            found.append(("GET", route.path))
        else:
            found += [(method, route.path) for method in route.methods - {"HEAD"}]
    return sorted(found)


def call(client: TestClient, method: str, path: str, root: str = "") -> int:
    path = path.replace("/static", "/static/coinwatch.css").replace("{coin}", "BTC").replace("{subscription_id}", "1")
    return client.request(method, root + re.sub(r"\{\w+\}", "x", path)).status_code


def mounted(app: FastAPI) -> FastAPI:
    return next(route.app for route in app.routes if isinstance(route, Mount))


@pytest.mark.usefixtures("market")
def test_strangers_reach_the_public_routes_and_no_other(alone: FastAPI, client: TestClient) -> None:
    for method, path in routes_of(alone):
        refused = call(client, method, path) == 401
        assert refused is ((method, path) not in PUBLIC_ALONE), (method, path)


@pytest.mark.usefixtures("market")
def test_inside_airflow_only_health_and_static_files_need_no_login(
    inside: FastAPI, inside_as: Callable[..., TestClient]
) -> None:
    assert {("GET", "/health"), ("GET", "/static")} == PUBLIC_EVERYWHERE
    for method, path in routes_of(mounted(inside)):
        refused = call(inside_as(None), method, path, "/coinwatch") == 401
        assert refused is ((method, path) not in PUBLIC_EVERYWHERE), (method, path)


@pytest.mark.usefixtures("market")
def test_viewers_of_airflow_look_and_operators_change(inside: FastAPI, inside_as: Callable[..., TestClient]) -> None:
    for method, path in routes_of(mounted(inside)):
        refused = call(inside_as("viewer"), method, path, "/coinwatch") == 403
        assert refused is ((method, path) in OPERATORS_ONLY), (method, path)
        assert call(inside_as("admin"), method, path, "/coinwatch") not in {401, 403}, (method, path)


@pytest.mark.usefixtures("market")
def test_the_token_opens_the_operators_routes(operator: TestClient) -> None:
    for method, path in OPERATORS_ONLY:
        assert call(operator, method, path) not in {401, 403}, (method, path)


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", "Bearer operators-token-of-this-tes", "bearer x y"])
def test_a_wrong_token_is_refused_everywhere_but_in_health(client: TestClient, header: str) -> None:
    assert client.get("/api/v1/status", headers={"Authorization": header}).status_code == 401
    assert client.get("/api/v1/prices", headers={"Authorization": header}).status_code == 401
    assert client.get("/health", headers={"Authorization": header}).status_code == 200


def test_another_scheme_of_a_proxy_is_not_our_business(client: TestClient) -> None:
    assert client.get("/api/v1/prices", headers={"Authorization": "Basic dXNlcjpwYXNz"}).status_code == 200


def test_the_lists_name_only_routes_that_exist(alone: FastAPI) -> None:
    assert set(routes_of(alone)) >= PUBLIC_ALONE
    assert set(routes_of(alone)) - PUBLIC_ALONE == OPERATORS_ONLY


def test_a_route_that_nobody_listed_demands_an_operator() -> None:
    assert demand_of("GET", "/new/route", inside_airflow=False) is Demand.OPERATOR
    assert demand_of("POST", "/", inside_airflow=True) is Demand.OPERATOR


def test_websockets_are_refused_until_somebody_guards_them(alone: FastAPI, client: TestClient) -> None:
    alone.add_api_websocket_route("/live", lambda websocket: websocket.accept())
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/live"):
        pass
    assert refused.value.code == 1008


def test_what_to_do_is_said_to_programs_and_to_people(client: TestClient) -> None:
    answer = client.get("/api/v1/status")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"] == "login_needed"
    assert "COINWATCH_API_TOKEN" in answer.json()["message"]
    page = client.get("/api/v1/status", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert "Please log in" in page.text
