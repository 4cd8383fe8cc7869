"""A log line per request, and the handler of last resort for exceptions."""

import time

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coinwatch.web.error_handlers import internal_error_response, route_template

log = structlog.get_logger()


class RequestLog:
    """Logs the route template, never the actual path: links in emails contain tokens.

    An unexpected exception is logged with its traceback and becomes a 500 response, with security headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def send_and_record(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        request = Request(scope)
        try:
            await self.app(scope, receive, send_and_record)
        except Exception:
            log.exception("request failed", route=route_template(request))
            if status:
                raise
            await internal_error_response(request)(scope, receive, send_and_record)
        finally:
            log.info(
                "request",
                method=scope["method"],
                route=route_template(request),
                status=status,
                seconds=round(time.monotonic() - started, 4),
            )
