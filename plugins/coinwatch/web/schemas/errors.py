"""The error response, and the status codes that several routes document."""

from typing import Any

from pydantic import BaseModel, Field


class ErrorResponse(BaseModel):
    """``error`` is a code for programs, ``message`` is for people, ``fields`` has a message per invalid field."""

    error: str = Field(examples=["invalid_request"])
    message: str = Field(examples=["days is 91; the maximum is 90."])
    fields: dict[str, str] = Field(default_factory=dict)


Responses = dict[int | str, dict[str, Any]]

COMMON_RESPONSES: Responses = {
    401: {"model": ErrorResponse, "description": "Log in, or send a valid bearer token"},
    422: {"model": ErrorResponse, "description": "Invalid request; fields has a message per invalid field"},
    500: {"model": ErrorResponse, "description": "Unexpected error; its details are in the server's log"},
    503: {"model": ErrorResponse, "description": "Database unavailable"},
}
# Of routes that change something.
CHANGE: Responses = {
    403: {"model": ErrorResponse, "description": "Read-only access, or a request from another site"},
    413: {"model": ErrorResponse, "description": "Request too large"},
}
NOT_FOUND: Responses = {404: {"model": ErrorResponse, "description": "Not found; the message lists what is available"}}
ALREADY_EXISTS: Responses = {409: {"model": ErrorResponse, "description": "The same alert already exists"}}
TOO_MANY_REQUESTS: Responses = {
    429: {"model": ErrorResponse, "description": "Too many such requests at the moment; Retry-After has the seconds"}
}
NOT_ACCEPTABLE: Responses = {406: {"model": ErrorResponse, "description": "No format that the Accept header allows"}}
