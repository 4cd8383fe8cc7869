"""Reading errors, which are problem details (RFC 9457)."""

from typing import Any, Protocol


class JsonResponse(Protocol):
    """A response of either HTTP client that tests use."""

    headers: Any

    def json(self) -> Any: ...


def field_errors(response: JsonResponse) -> dict[str, str]:
    """The message about each invalid field."""
    assert response.headers["content-type"] == "application/problem+json"
    return {each["field"]: each["message"] for each in response.json()["errors"]}


def invalid_fields(response: JsonResponse) -> list[str]:
    """The names of the invalid fields, in order."""
    return list(field_errors(response))
