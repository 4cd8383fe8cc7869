"""Errors as pages for browsers and as problem details (RFC 9457) for programs."""

from collections.abc import Mapping
from http import HTTPStatus

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
    TooManySubscriptions,
)
from coinwatch.formatting import escape_control_characters
from coinwatch.web.formats.accept_header import quality
from coinwatch.web.schemas.errors import ERROR_CODES, PROBLEM_TYPE, ErrorCode
from coinwatch.web.schemas.validation_messages import messages_by_field

log = structlog.get_logger()

UNAVAILABLE = "coinwatch is temporarily unavailable. Try again in a minute."
TIMED_OUT = "This took too long to compute. Try a shorter window or fewer days, or try again later."


class NotAcceptable(RequestError):
    """The client accepts none of the formats in which a resource is available."""


class TooManyRequests(RequestError):
    """The caller exceeded a rate limit; ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(TooManyRequests):
    """Too many expensive queries are running at the moment."""


CODES_OF_ERRORS: tuple[tuple[type[CoinwatchError], str], ...] = (  # a subclass before its base class
    (TooManySubscriptions, "too_many_alerts"),
    (InvalidRequest, "invalid_request"),
    (NotFound, "not_found"),
    (NotAcceptable, "not_acceptable"),
    (AlreadyExists, "already_exists"),
    (Busy, "busy"),
    (TooManyRequests, "too_many_requests"),
    (QueryTimeout, "query_timeout"),
    (DatabaseError, "unavailable"),
    (ConfigurationError, "unavailable"),
)
CODES_OF_STATUSES = {each.status: each.code for each in reversed([*ERROR_CODES.values()])}


def status_of(error: CoinwatchError) -> int:
    """The HTTP status of an error."""
    return code_of(error).status


def code_of(error: CoinwatchError) -> ErrorCode:
    """The code and HTTP status of an error."""
    code = next((code for kind, code in CODES_OF_ERRORS if isinstance(error, kind)), "internal_error")
    return ERROR_CODES[code]


def error_response(
    request: Request,
    status: int,
    message: str,
    *,
    code: str | None = None,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error page if the client prefers HTML, otherwise problem details (RFC 9457) as JSON.

    ``code`` is one of ERROR_CODES (default: the usual one of the status), ``fields`` has a message per invalid field.
    """
    known = ERROR_CODES.get(code or CODES_OF_STATUSES.get(status, ""))
    title = known.title if known else HTTPStatus(status).phrase
    headers = {"Vary": "Accept", **(headers or {})}
    if accepts_html(request):
        site = request.app.state.site
        values = {
            "title": title,
            "message": message,
            "code": known.code if known else status,
            "can_retry": status >= 429,
            "login_url": site.login_url(f"{request.scope['root_path']}/") if status == 401 and site.login_url else None,
        }
        page: Response = site.render(request, "error.html", values, status=status)
        page.headers.update(headers)
        return page
    problem = {
        "type": f"{request.scope.get('root_path', '')}/docs#{known.code}" if known else "about:blank",
        "title": title,
        "status": status,
        # Messages repeat what was sent, which may contain halves of surrogate pairs, which cannot be encoded.
        "detail": escape_control_characters(message, newlines=True),
        "code": known.code if known else "error",
        "errors": [
            {"field": escape_control_characters(name), "message": escape_control_characters(text, newlines=True)}
            for name, text in (fields or {}).items()
        ],
    }
    return JSONResponse(problem, status_code=status, headers=headers, media_type=PROBLEM_TYPE)


def accepts_html(request: Request) -> bool:
    """Whether the client is a browser that shows a page."""
    accept = request.headers.get("accept", "")
    return "text/html" in accept and quality("text/html", accept) >= quality("application/json", accept)


def internal_error_response(request: Request) -> Response:
    """The response to an unexpected exception; its details are in the log only."""
    return error_response(request, 500, "Something went wrong on our side. The error has been logged.")


async def handle_coinwatch_error(request: Request, error: Exception) -> Response:
    """Respond to any CoinwatchError. Details of server errors go to the log, and to operators."""
    if not isinstance(error, CoinwatchError):
        raise error
    known = code_of(error)
    message = str(error)
    if known.status >= 500:
        log.error("request failed", route=route_template(request), error_type=type(error).__name__, error=message)
        visitor = getattr(request.state, "visitor", None)
        if visitor is None or not visitor.operator:
            message = TIMED_OUT if isinstance(error, QueryTimeout) else UNAVAILABLE
    fields = error.fields if isinstance(error, InvalidRequest) else {}
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyRequests) else {}
    return error_response(request, known.status, message, code=known.code, fields=fields, headers=headers)


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
