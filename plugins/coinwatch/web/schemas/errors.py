"""Errors as problem details (RFC 9457), their codes, and the errors that several routes document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A kind of error. Programs rely on ``code``, which never changes; ``title`` and ``meaning`` are for people."""

    code: str
    status: int
    title: str
    meaning: str


ERROR_CODES: Mapping[str, ErrorCode] = {
    each.code: each
    for each in (
        ErrorCode("bad_request", 400, "Bad request", "The request is not valid HTTP, or its body cannot be read."),
        ErrorCode("unauthorized", 401, "Log in to continue", "Log in, or send a valid bearer token."),
        ErrorCode("forbidden", 403, "Access denied", "The caller may only read, or another site sent the request."),
        ErrorCode("not_found", 404, "Not found", "There is no such page, coin, exchange or alert; detail says which."),
        ErrorCode("method_not_allowed", 405, "Method not allowed", "The address exists, but not with this method."),
        ErrorCode("not_acceptable", 406, "Format not available", "The Accept header allows none of the formats."),
        ErrorCode("already_exists", 409, "Already exists", "An equal alert exists."),
        ErrorCode("too_large", 413, "Request too large", "The request body is too large; detail has the maximum."),
        ErrorCode("uri_too_long", 414, "Address too long", "The address with its parameters is too long."),
        ErrorCode("invalid_request", 422, "Invalid request", "A parameter or field is invalid; errors says which."),
        ErrorCode("too_many_alerts", 422, "Too many alerts", "The address has the maximum number of alerts."),
        ErrorCode("too_many_requests", 429, "Too many requests", "Wait for the seconds in Retry-After."),
        ErrorCode("busy", 429, "Busy", "Too many expensive queries are running; wait for the seconds in Retry-After."),
        ErrorCode("internal_error", 500, "Something went wrong", "An unexpected error; the server's log has details."),
        ErrorCode("unavailable", 503, "Temporarily unavailable", "The database is unavailable or a setting invalid."),
        ErrorCode("query_timeout", 503, "This took too long", "The query took too long; ask for a shorter range."),
    )
}


class FieldError(BaseModel):
    """What is wrong with one field. An empty ``field`` is the request as a whole."""

    field: str = Field(examples=["days"])
    message: str = Field(examples=["days is 91; the maximum is 90."])


class Problem(BaseModel):
    """An error. ``code`` is for programs, ``detail`` for people; ``errors`` lists the invalid fields."""

    type: str = Field(description="Address of the code's description.", examples=["/docs#invalid_request"])
    title: str = Field(description="The same for every error with this code.", examples=["Invalid request"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="What is wrong, and how to fix it.", examples=["days is 91; the maximum is 90."])
    code: str = Field(description="Stable code.", json_schema_extra={"enum": list(ERROR_CODES)})
    errors: list[FieldError] = Field(description="What is wrong with each invalid field; empty for other errors.")


Responses = dict[int | str, dict[str, Any]]


def error(status: int, description: str) -> Responses:
    """A documented error, for a route's ``responses``."""
    return {status: {"model": Problem, "description": description}}


TOO_MANY_REQUESTS = error(429, "Too many requests; Retry-After has the seconds to wait")
COMMON_RESPONSES: Responses = {
    **error(401, "Log in, or send a valid bearer token"),
    **error(414, "The address with its parameters is too long"),
    **error(422, "Invalid request; errors has a message per invalid field"),
    **TOO_MANY_REQUESTS,
    **error(500, "Unexpected error; its details are in the server's log"),
    **error(503, "Database unavailable, or the query took too long"),
}
# Of routes that change something.
CHANGE: Responses = {
    **error(403, "Read-only access, or a request from another site"),
    **error(413, "Request too large"),
}
NOT_FOUND = error(404, "Not found; detail lists what is available")
ALREADY_EXISTS = error(409, "The same alert already exists")
NOT_ACCEPTABLE = error(406, "No format that the Accept header allows")
