"""Errors as people and programs get them: a page for a browser, JSON for the API."""

from collections.abc import Mapping

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from coinwatch.errors import (
    AlreadyExists,
    CoinwatchError,
    ConfigurationError,
    DatabaseError,
    InvalidRequest,
    NotFound,
    QueryTimeout,
    RequestError,
)
from coinwatch.web.services.subscription_requests import field_messages

log = structlog.get_logger()

CODES = {
    400: "bad_request",
    401: "login_needed",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    409: "already_exists",
    413: "too_large",
    422: "invalid_request",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}
TITLES = {
    401: "Please log in",
    403: "Not allowed",
    404: "Not found",
    409: "Already there",
    413: "Too much",
    422: "That did not work",
    429: "Too many requests",
    503: "Not available right now",
}
UNAVAILABLE = "The prices' database is not available right now. Please try again in a minute."

TOO_LONG = "That took too long to work out. Ask for a shorter window or fewer days, or try again later."


class TooManyRequests(RequestError):
    """The caller asked too often; ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def status_of(error: CoinwatchError) -> int:
    """The HTTP status that says the same as the error's class."""
    statuses: list[tuple[type[CoinwatchError], int]] = [
        (InvalidRequest, 422),
        (NotFound, 404),
        (AlreadyExists, 409),
        (TooManyRequests, 429),
        (DatabaseError, 503),
        (ConfigurationError, 503),
    ]
    return next((status for kind, status in statuses if isinstance(error, kind)), 500)


def error_answer(
    request: Request,
    status: int,
    message: str,
    *,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One error, as a page where a browser asks for one, else as ``{"error", "message", "fields"}``."""
    if wants_page(request):
        title = TITLES.get(status, "Something went wrong")
        values = {"title": title, "message": message, "error": CODES.get(status), "again": status >= 429}
        page: Response = request.app.state.site.page(request, "error.html", values, status=status)
        page.headers.update(headers or {})
        return page
    body = {"error": CODES.get(status, "error"), "message": message, "fields": dict(fields or {})}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer."""
    return "text/html" in request.headers.get("accept", "")


async def answer_coinwatch_error(request: Request, error: Exception) -> Response:
    """Any error of ours; what a stranger need not know (addresses, settings) goes to the log only."""
    if not isinstance(error, CoinwatchError):
        raise error
    status = status_of(error)
    message = str(error)
    if status >= 500:
        log.error("page failed", path=route_as_written(request), error_type=type(error).__name__, error=message)
        if getattr(request.state, "visitor", None) is None:
            message = TOO_LONG if isinstance(error, QueryTimeout) else UNAVAILABLE
    fields = {error.field: message} if isinstance(error, InvalidRequest) else {}
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyRequests) else {}
    return error_answer(request, status, message, fields=fields, headers=headers)


async def answer_validation_error(request: Request, error: Exception) -> Response:
    """Input that FastAPI refused, in plain words."""
    if not isinstance(error, RequestValidationError):
        raise error
    fields = field_messages(error.errors())
    message = "; ".join(f"{name}: {text}" if name else text for name, text in fields.items())
    return error_answer(request, 422, message, fields=fields)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """404, 405 and their like."""
    if not isinstance(error, HTTPException):
        raise error
    message = "There is nothing at this address." if error.status_code == 404 else str(error.detail)
    return error_answer(request, error.status_code, message, headers=error.headers)


def apology(request: Request) -> Response:
    """For a fault of ours: the log has the details, the person does not need them."""
    return error_answer(request, 500, "Something went wrong on our side. It has been written to the log.")


def route_as_written(request: Request) -> str | None:
    """The route's path with its braces: paths as called may hold tokens, which belong in no log."""
    return request.scope.get("coinwatch.route")
