"""Errors as pages for browsers and as JSON for programs."""

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
from coinwatch.formatting import escape_control_characters
from coinwatch.web.schemas.validation_messages import messages_by_field

log = structlog.get_logger()

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "already_exists",
    413: "too_large",
    422: "invalid_request",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}
TITLES = {
    401: "Log in to continue",
    403: "Access denied",
    404: "Not found",
    406: "Format not available",
    409: "Already exists",
    413: "Request too large",
    422: "Something went wrong",
    429: "Too many requests",
    503: "Temporarily unavailable",
}
UNAVAILABLE = "coinwatch is temporarily unavailable. Try again in a minute."
TIMED_OUT = "This took too long to compute. Try a shorter window or fewer days, or try again later."


class NotAcceptable(RequestError):
    """The client accepts none of the formats in which a resource is available."""


class TooManyRequests(RequestError):
    """The caller exceeded a rate limit; ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def status_of(error: CoinwatchError) -> int:
    """The HTTP status for an error."""
    statuses: list[tuple[type[CoinwatchError], int]] = [
        (InvalidRequest, 422),
        (NotFound, 404),
        (AlreadyExists, 409),
        (NotAcceptable, 406),
        (TooManyRequests, 429),
        (DatabaseError, 503),
        (ConfigurationError, 503),
    ]
    return next((status for kind, status in statuses if isinstance(error, kind)), 500)


def error_response(
    request: Request,
    status: int,
    message: str,
    *,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error page if the client accepts HTML, otherwise JSON with ``error``, ``message`` and ``fields``."""
    if accepts_html(request):
        site = request.app.state.site
        values = {
            "title": TITLES.get(status, "Something went wrong"),
            "message": message,
            "code": CODES.get(status),
            "can_retry": status >= 429,
            "login_url": site.login_url(f"{request.scope['root_path']}/") if status == 401 and site.login_url else None,
        }
        page: Response = site.render(request, "error.html", values, status=status)
        page.headers.update(headers or {})
        return page
    # Messages repeat what was sent, which may contain halves of surrogate pairs, which cannot be encoded.
    message, *texts = (escape_control_characters(text, newlines=True) for text in (message, *(fields or {}).values()))
    names = map(escape_control_characters, fields or {})
    body = {"error": CODES.get(status, "error"), "message": message, "fields": dict(zip(names, texts, strict=True))}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def accepts_html(request: Request) -> bool:
    """Whether the client is a browser that shows a page."""
    return "text/html" in request.headers.get("accept", "")


def internal_error_response(request: Request) -> Response:
    """The response to an unexpected exception; its details are in the log only."""
    return error_response(request, 500, "Something went wrong on our side. The error has been logged.")


async def handle_coinwatch_error(request: Request, error: Exception) -> Response:
    """Respond to any CoinwatchError. Details of server errors go to the log, and to operators."""
    if not isinstance(error, CoinwatchError):
        raise error
    status = status_of(error)
    message = str(error)
    if status >= 500:
        log.error("request failed", route=route_template(request), error_type=type(error).__name__, error=message)
        visitor = getattr(request.state, "visitor", None)
        if visitor is None or not visitor.operator:
            message = TIMED_OUT if isinstance(error, QueryTimeout) else UNAVAILABLE
    fields = {error.field: message} if isinstance(error, InvalidRequest) else {}
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyRequests) else {}
    return error_response(request, status, message, fields=fields, headers=headers)


async def handle_validation_error(request: Request, error: Exception) -> Response:
    """Respond to input that FastAPI rejected."""
    if not isinstance(error, RequestValidationError):
        raise error
    fields = messages_by_field(error.errors())
    message = "; ".join(
        text if not name or text.startswith(name) else f"{name}: {text}" for name, text in fields.items()
    )
    return error_response(request, 422, message, fields=fields)


async def handle_http_error(request: Request, error: Exception) -> Response:
    """Respond to Starlette's own errors, such as 404 and 405."""
    if not isinstance(error, HTTPException):
        raise error
    message = "This page doesn't exist." if error.status_code == 404 else str(error.detail)
    return error_response(request, error.status_code, message, headers=error.headers)


def route_template(request: Request) -> str | None:
    """The route's path with its placeholders, for logs: an actual path can contain a token."""
    return getattr(request.state, "route", None)
