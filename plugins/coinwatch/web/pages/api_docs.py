"""The API's description as a page of our own: the usual ones load scripts from elsewhere."""

from typing import Any

from fastapi import APIRouter, Request, Response

from coinwatch.web.dependencies import SiteHere
from coinwatch.web.middleware.access import Demand, demand_of

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def api_docs(site: SiteHere, request: Request) -> Response:
    schema = request.app.openapi()
    routes = [
        _described(method.upper(), path, operation, site.inside_airflow)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]
    return site.page(request, "docs.html", {"routes": routes, "schemas": schema["components"]["schemas"]})


def _described(method: str, path: str, operation: dict[str, Any], inside_airflow: bool) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return {
        "method": method,
        "path": path,
        "summary": operation.get("summary", ""),
        "parameters": operation.get("parameters", []),
        "body": body.get("$ref", "").rpartition("/")[2],
        "answers": {code: answer["description"] for code, answer in sorted(operation["responses"].items())},
        "for_operators": demand_of(method, path, inside_airflow) is Demand.OPERATOR,
    }
