"""What every route of the API promises: declared statuses, one form of errors, no unknown fields."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.problems import invalid_fields

pytestmark = pytest.mark.usefixtures("market")

VALUES = st.one_of(
    st.sampled_from(
        ["", "BTC", "bitcoin", "kraken", "index", "USD", "0", "-1", "1.5", "1e400", "nan", "9" * 30, "1h", "5m", "1M"]
    ),
    st.sampled_from(["2026-11-20T11:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-11-20", "now"]),
    st.sampled_from(["crosses", "change_over_window", "down", "volume_24h", "Europe/Berlin", "../..", "true", "4h"]),
    st.text(max_size=12),
)
BODY_VALUES = st.one_of(
    VALUES,
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just("\ud800"),
)


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """Every method, path and operation of the API."""
    schema = app.openapi()["paths"]
    return [
        (method, path, operation)
        for path, methods in schema.items()
        for method, operation in methods.items()
        if path != "/api/v1/stream"  # does not end: see test_stream.py
    ]


def names_in(app: FastAPI, operation: dict[str, Any], where: str) -> list[str]:
    """The names of an operation's parameters (in the query or path), or of its body's fields."""
    if where != "body":
        return [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == where]
    if "requestBody" not in operation:
        return []
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = app.openapi()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema["properties"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_status_is_declared_and_no_input_is_an_internal_error(
    standalone: FastAPI, operator: TestClient, client: TestClient, data: st.DataObject
) -> None:
    method, path, operation = data.draw(st.sampled_from(operations(standalone)))
    caller = data.draw(st.sampled_from([operator, client]))
    for name in names_in(standalone, operation, "path"):
        text = data.draw(
            st.one_of(st.sampled_from(["BTC", "1", "999999999999999999999"]), st.text("ab%-_é", min_size=1))
        )
        path = path.replace(f"{{{name}}}", text)
    query_names = names_in(standalone, operation, "query")
    query = data.draw(st.dictionaries(st.sampled_from([*query_names, "unknown"]), VALUES, max_size=4))
    body_names = names_in(standalone, operation, "body")
    content: dict[str, Any] = {}
    if body_names:
        body = data.draw(st.dictionaries(st.sampled_from([*body_names, "unknown"]), BODY_VALUES, max_size=6))
        content = {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}
    response = caller.request(method, path, params=query, **content)
    if "/" in path.removeprefix("/api/v1/").partition("/")[2]:
        return  # a slash in a value leads to another route
    assert str(response.status_code) in operation["responses"], response.text
    assert response.status_code != 500
    if response.status_code >= 400 and "health" not in operation["tags"]:
        problem = response.json()
        assert response.headers["content-type"] == "application/problem+json"
        assert problem["status"] == response.status_code
        assert problem["type"] == f"/docs#{problem['code']}"
        assert set(problem) == {"type", "title", "status", "detail", "code", "errors"}
        assert "Traceback" not in response.text


def test_every_route_rejects_unknown_and_repeated_parameters(standalone: FastAPI, operator: TestClient) -> None:
    for method, path, operation in operations(standalone):
        if "health" in operation["tags"]:
            continue
        address = path.replace("{coin}", "BTC").replace("{subscription_id}", "1")
        response = operator.request(method, address, params={"exchang": "kraken"})
        assert (response.status_code, invalid_fields(response)) == (422, ["exchang"]), path
        for name in names_in(standalone, operation, "query"):
            twice = operator.request(method, address, params=[(name, "1"), (name, "2")])
            assert (twice.status_code, invalid_fields(twice)) == (422, [name]), path


def test_misspelled_parameter_is_reported_with_a_suggestion(client: TestClient) -> None:
    message = client.get("/api/v1/prices?exchang=kraken").json()["detail"]
    assert message == "exchang is not a known field. Did you mean exchange?"
    assert client.get("/health?cache=0").status_code == 200
    assert client.get("/?utm_source=x").status_code == 200


@pytest.mark.parametrize(
    ("content", "content_type", "message"),
    [
        (b"x", None, "must be a JSON object, sent with the header Content-Type: application/json"),
        (b'{"email": "ada@example.org"}', "text/plain", "Content-Type: application/json"),
        (b"[1]", "application/json", "must be a JSON object"),
        (b"{", "application/json", "not valid JSON"),
        (b'{"coin": ["BTC"]}', "application/json", 'coin is ["BTC"]; it must be text.'),
        (b'{"repeat": "maybe"}', "application/json", 'repeat is "maybe"; it must be true or false.'),
        (
            b'{"kind": null, "direction": "sideways"}',
            "application/json",
            'is "sideways"; it must be one of up, down or',
        ),
        (b'{"quote": "\\ud800"}', "application/json", 'quote is "\\ud800"; it must be valid Unicode.'),
    ],
)
def test_invalid_body_is_explained_without_python(
    client: TestClient, content: bytes, content_type: str | None, message: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = client.post("/api/v1/subscriptions", content=content, headers=headers)
    assert response.status_code == 422
    assert message in response.json()["detail"]
    for leaked in ("b'", "None", "True", "{'", "['"):
        assert leaked not in response.json()["detail"]


@pytest.mark.parametrize(
    "rule",
    [
        {"threshold_percent": 2.5},
        {"level": 70000, "direction": "up"},
        {"kind": "deviation_from_average", "threshold_percent": 3, "window_seconds": 600, "repeat": False},
        {"kind": "change_since_last", "threshold_percent": 1, "cooldown_seconds": 0, "metric": "volume_24h"},
    ],
)
def test_response_has_the_names_of_the_request(operator: TestClient, rule: dict[str, Any]) -> None:
    request = {"email": "ada@example.org", "coin": "BTC", "exchange": "kraken", "quote": "USD", **rule}
    created = operator.post("/api/v1/subscriptions", json=request).json()
    assert {name: created[name] for name in request} == request
    body = operator.app.openapi()["components"]["schemas"]["SubscriptionForm"]["properties"]  # type: ignore[attr-defined]
    again = operator.post("/api/v1/subscriptions", json={name: created[name] for name in body})
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")


@pytest.mark.parametrize(("text", "seconds"), [("300s", 300), ("1h", 3600), ("300", 300), (300, 300), ("5 m", 300)])
def test_durations_are_seconds_or_have_a_unit(operator: TestClient, text: str | int, seconds: int) -> None:
    rule = {"threshold_percent": 2, "window_seconds": text, "cooldown_seconds": "0s"}
    created = operator.post("/api/v1/subscriptions", json={"email": "ada@example.org", "coin": "BTC", **rule}).json()
    assert (created["window_seconds"], created["cooldown_seconds"]) == (seconds, 0)
    assert operator.get(f"/api/v1/movers?window_seconds={text}").json()["window_seconds"] == seconds
