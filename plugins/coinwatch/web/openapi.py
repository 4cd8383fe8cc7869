"""The description of the REST API as OpenAPI 3.1: FastAPI's, with what FastAPI cannot know.

``api_examples.json`` has one request and its response for each operation. A test sends the requests and compares the
responses; it also rewrites the file (see tests/web/api/test_examples.py).
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from fastapi import FastAPI

from coinwatch.web.middleware.access import Requirement, requirement_of, scope_of
from coinwatch.web.schemas.errors import PROBLEM_TYPE

EXAMPLES_FILE = Path(__file__).with_name("api_examples.json")
DESCRIPTION = (
    "Prices recorded by coinwatch, and alerts when they move. Times are in UTC, percentages in percent (2.5 is 2.5%), "
    "prices in the quote currency. Errors are problem details (RFC 9457): programs rely on `code`. Lists come "
    'in pages: while there are more, a response has a header `Link` with `rel="next"`.'
)
QUOTA_HEADERS = {
    "RateLimit-Policy": "The quota: q requests in w seconds (draft-ietf-httpapi-ratelimit-headers).",
    "RateLimit": "What is left of it: r requests, until it is reset in t seconds.",
}
LINK = {"Link": 'The next page, with rel="next"; absent on the last one.'}
CACHE_HEADERS = {
    "ETag": "The version of the response. Send it as If-None-Match to get 304 while it hasn't changed.",
    "Cache-Control": "How long the response may be reused.",
}
RETRY_AFTER = {"Retry-After": "How many seconds to wait."}


class DocumentedApp(FastAPI):
    """A FastAPI app whose OpenAPI description is complete."""

    def openapi(self) -> dict[str, Any]:
        """The description; built once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            schema["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            for method, path, operation in operations_of(schema):
                _describe_access(method, path, operation)
                _describe_caching(method, operation)
                _describe_responses(operation)
                _add_example(operation, examples().get(f"{method} {path}"))
        return self.openapi_schema or {}


def operations_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every operation."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


@lru_cache
def examples() -> Mapping[str, Mapping[str, Any]]:
    """A request (``url``, and ``body`` if it has one) and its ``response`` for each operation, such as "GET /ready"."""
    return json.loads(EXAMPLES_FILE.read_text(encoding="utf-8")) if EXAMPLES_FILE.exists() else {}


def _describe_access(method: str, path: str, operation: dict[str, Any]) -> None:
    """Operations that always require an operator or a scope. Inside Airflow, the others require a login."""
    if requirement_of(method, path, inside_airflow=False) in {Requirement.OPERATOR, Requirement.SCOPE}:
        operation["security"] = [{"bearer": []}]
        operation["x-scope"] = scope_of(method, path)
        problem = operation["responses"]["422"]["content"]
        operation["responses"].setdefault("403", {"description": "The caller lacks the scope", "content": problem})


def _describe_caching(method: str, operation: dict[str, Any]) -> None:
    """Responses that may be cached are those that exist in several formats, except the personal ones."""
    if method == "GET" and "406" in operation["responses"] and "security" not in operation:
        operation["responses"]["304"] = {"description": "Not modified since the version in If-None-Match"}
        _add_headers(operation["responses"]["200"], CACHE_HEADERS)


def _describe_responses(operation: dict[str, Any]) -> None:
    """Errors are ``application/problem+json``, which FastAPI describes as JSON; every response has its headers."""
    parameters = {parameter["name"] for parameter in operation.get("parameters", [])}
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        if int(status) >= 400 and reference.endswith("/Problem"):
            response["content"] = {PROBLEM_TYPE: content["application/json"]}
        _add_headers(response, QUOTA_HEADERS)
        if status == "200" and "cursor" in parameters:
            _add_headers(response, LINK)
        if status == "429":
            _add_headers(response, RETRY_AFTER)


def _add_headers(response: dict[str, Any], headers: Mapping[str, str]) -> None:
    described = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    response.setdefault("headers", {}).update(described)


def _add_example(operation: dict[str, Any], example: Mapping[str, Any] | None) -> None:
    if example is None:
        return
    operation["x-example"] = example
    parts = urlsplit(example["url"])
    given = dict(parse_qsl(parts.query)) | dict(example.get("path", {}))
    for parameter in operation.get("parameters", []):
        if parameter["name"] in given:
            parameter["example"] = unquote(str(given[parameter["name"]]))
    if "body" in example:
        operation["requestBody"]["content"]["application/json"]["example"] = example["body"]
    content = operation["responses"][str(example["status"])].get("content", {})
    if "application/json" in content:
        content["application/json"]["example"] = example["response"]
