"""The API reference, made from the OpenAPI description. FastAPI's own page loads scripts from a CDN."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from coinwatch.web.dependencies import SiteDep
from coinwatch.web.middleware.access import Requirement, requirement_of, scope_of
from coinwatch.web.schemas.errors import ERROR_CODES

TITLES = {
    "catalog": "Exchanges, coins, instruments",
    "prices": "Prices",
    "history": "History",
    "subscriptions": "Alerts",
    "operators": "For operators and API keys",
    "health": "Health",
    "udf": "TradingView's UDF",
    "openbb": "OpenBB Workspace",
    "legacy": "Routes of earlier programs",
}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def show_api_docs(site: SiteDep, request: Request) -> Response:
    schema = request.app.openapi()
    base = str(request.base_url).rstrip("/")
    routes: dict[str, list[dict[str, Any]]] = {title: [] for title in TITLES.values()}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            title = TITLES.get(operation["tags"][0], operation["tags"][0].capitalize())
            route = _describe(method.upper(), path, operation, base, site.inside_airflow)
            routes.setdefault(title, []).append(route)
    groups = {title: found for title, found in routes.items() if found}
    values = {"groups": groups, "schemas": schema["components"]["schemas"], "error_codes": ERROR_CODES.values()}
    return site.render(request, "api_docs.html", values)


def _describe(method: str, path: str, operation: Mapping[str, Any], base: str, inside_airflow: bool) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    responses = {code: response["description"] for code, response in sorted(operation["responses"].items())}
    requirement = requirement_of(method, path, inside_airflow)
    restricted = requirement in {Requirement.SCOPE, Requirement.OPERATOR}
    example = operation.get("x-example")
    return {
        "method": method,
        "path": path,
        "anchor": f"{method.lower()}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": operation.get("parameters", []),
        "body": body.get("schema", {}).get("$ref", "").rpartition("/")[2],
        "responses": {code: "OK" if text == "Successful Response" else text for code, text in responses.items()},
        "scope": scope_of(method, path) if restricted else None,
        "curl": _curl(method, base, example, with_token=restricted or inside_airflow) if example else None,
        "response": _pretty(example["response"]) if example and example["response"] is not None else None,
    }


def _curl(method: str, base: str, example: Mapping[str, Any], *, with_token: bool) -> str:
    """A command for a shell that sends the example."""
    options = "" if method == "GET" else f" -X {method}"
    if with_token:
        options += ' -H "Authorization: Bearer $COINWATCH_API_TOKEN"'
    if "body" in example:
        options += f" -H 'Content-Type: application/json' -d '{json.dumps(example['body'])}'"
    return f"curl{options} '{base}{quote(example['url'], safe='/?&=:,%@')}'"


def _pretty(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
