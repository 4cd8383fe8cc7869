"""No spelling of a path reaches an operator's route without the role: encoded, doubled, dotted, in capitals."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount

from coinwatch.audit import list_entries
from coinwatch.web.middleware.access import Requirement, requirement_of

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get")
# Responses that show nothing of a route: not found, not allowed, or a login.
HARMLESS = {303, 400, 401, 403, 404, 405}
BASE_URL = "http://coinwatch.test"


def spellings(path: str) -> list[str]:
    """Paths that a proxy, a browser or an attacker may send instead of this one."""
    first = path.split("/")[1]
    return [
        path,
        f"{path}/",
        f"/{path}",
        f"/.{path}",
        f"{path}/.",
        f"/x/..{path}",
        f"/static/..{path}",
        f"/static/%2e%2e{path}",
        f"/health/..{path}",
        f"/health/%2e%2e{path}",
        "/" + path[1:].replace("/", "%2f"),
        f"/%2f{path[1:]}",
        "/" + "".join(f"%{ord(character):02x}" for character in path[1:]),
        "/" + quote(quote(path[1:], safe=""), safe=""),
        "/" + path[1:].replace("/", "\\"),
        path.replace("/", "/./"),
        path.replace("/", "//"),
        path.replace(first, first.upper(), 1),
        f"{path};x=1",
        f"/;x{path}",
        f"{path}%00",
        f"{path}%20",
        f"{path}.json",
        f"{path}?x=/health",
        f"{path}%3f",
        f"{path}%23",
        f"{path}%e2%80%8b",
    ]


def guarded_routes(app: FastAPI, inside_airflow: bool) -> list[tuple[str, str]]:
    """Routes that require an operator or a scope, with values for their placeholders."""
    found = set()
    for route in app.routes:
        for method in getattr(route, "methods", None) or ():
            requirement = requirement_of(method, route.path, inside_airflow)
            if requirement in {Requirement.OPERATOR, Requirement.SCOPE}:
                path = route.path.replace("{code}", "kraken").replace("{action}", "disable")
                found.add((method, re.sub(r"\{\w*id\}", "1", path)))
    return sorted(found)


def reaches(client: TestClient, method: str, path: str) -> bool:
    """Whether the response may come from the route. Sent as it is: httpx would resolve the dots."""
    request = client.build_request(method, BASE_URL, headers={"Accept": "application/json"})
    request.url = request.url.copy_with(raw_path=path.encode())
    return client.send(request).status_code not in HARMLESS


@pytest.mark.usefixtures("market")
def test_no_spelling_of_a_path_reaches_an_operators_route(
    engine: sa.Engine, standalone: FastAPI, client: TestClient
) -> None:
    routes = guarded_routes(standalone, inside_airflow=False)
    assert len(routes) > 25
    reached = [
        (method, spelling)
        for method, path in routes
        for spelling in spellings(path)
        if reaches(client, method, spelling)
    ]
    assert reached == []
    assert list_entries(engine) == []


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("user", [None, "viewer"])
def test_no_spelling_reaches_an_operators_route_in_airflow(
    engine: sa.Engine, inside: FastAPI, inside_as: Callable[[str | None], TestClient], user: str | None
) -> None:
    [app] = [route.app for route in inside.routes if isinstance(route, Mount)]
    assert isinstance(app, FastAPI)
    client = inside_as(user)
    reached = [
        (method, spelling)
        for method, path in guarded_routes(app, inside_airflow=True)
        for spelling in (*(f"/coinwatch{each}" for each in spellings(path)), *spellings(f"/coinwatch{path}"))
        if reaches(client, method, spelling)
    ]
    assert reached == []
    assert list_entries(engine) == []


@pytest.mark.usefixtures("market")
def test_every_method_is_guarded_on_every_path(engine: sa.Engine, standalone: FastAPI, client: TestClient) -> None:
    paths = {path for _, path in guarded_routes(standalone, inside_airflow=False)}
    reached = [
        (method, path)
        for path in paths
        for method in METHODS
        if requirement_of(method, path, inside_airflow=False) is not Requirement.NONE
        if reaches(client, method, path)
    ]
    assert reached == []
    assert list_entries(engine) == []


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("path", ["/", "/operator", "/api/v1/prices", "/operator/exchanges/kraken/disable"])
@pytest.mark.parametrize("method", ["PUT", "PROPFIND", "TRACE"])
def test_unknown_methods_are_not_allowed(operator: TestClient, path: str, method: str) -> None:
    assert operator.request(method, path).status_code == 405


@pytest.mark.usefixtures("market")
def test_the_same_spellings_reach_a_route_with_the_role(operator: TestClient) -> None:
    """Otherwise the tests above could not fail."""
    reached = {spelling for spelling in spellings("/operator/audit") if reaches(operator, "GET", spelling)}
    assert {"/operator/audit", "/operator/audit/", "//operator/audit"} <= reached
    assert len(reached) > 5
