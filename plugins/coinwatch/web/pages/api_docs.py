"""The API reference. FastAPI's own page loads scripts from a CDN."""

from typing import Any

from fastapi import APIRouter, Request, Response

from coinwatch.web.dependencies import SiteDep
from coinwatch.web.middleware.access import Requirement, requirement_of
from coinwatch.web.schemas.errors import ERROR_CODES

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def show_api_docs(site: SiteDep, request: Request) -> Response:
    schema = request.app.openapi()
    routes = [
        _route(method.upper(), path, operation, site.inside_airflow)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]
    values = {"routes": routes, "schemas": schema["components"]["schemas"], "error_codes": ERROR_CODES.values()}
    return site.render(request, "api_docs.html", values)


def _route(method: str, path: str, operation: dict[str, Any], inside_airflow: bool) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    responses = {code: response["description"] for code, response in sorted(operation["responses"].items())}
    return {
        "method": method,
        "path": path,
        "summary": operation.get("summary", ""),
        "parameters": operation.get("parameters", []),
        "body": body.get("$ref", "").rpartition("/")[2],
        "responses": {code: "OK" if text == "Successful Response" else text for code, text in responses.items()},
        "for_operators": requirement_of(method, path, inside_airflow) in {Requirement.SCOPE, Requirement.OPERATOR},
    }
