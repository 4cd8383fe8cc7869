"""The description of the REST API as OpenAPI 3.1: FastAPI's, with what FastAPI cannot know."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from coinwatch.web.schemas.errors import PROBLEM_TYPE

DESCRIPTION = (
    "Prices recorded by coinwatch, and alerts when they move. Times are in UTC, percentages in percent (2.5 is 2.5%), "
    "prices in the quote currency. Errors are problem details (RFC 9457): programs rely on `code`."
)


class DocumentedApp(FastAPI):
    """A FastAPI app whose OpenAPI description is complete."""

    def openapi(self) -> dict[str, Any]:
        """The description; built once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for operation in operations_of(schema):
                _describe_errors(operation)
        return self.openapi_schema or {}


def operations_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of a description."""
    for methods in schema["paths"].values():
        yield from methods.values()


def _describe_errors(operation: dict[str, Any]) -> None:
    """Errors are ``application/problem+json``; FastAPI describes them as JSON."""
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        if int(status) >= 400 and reference.endswith("/Problem"):
            content[PROBLEM_TYPE] = content.pop("application/json")
