"""One line per answered request, and the last net for surprises."""

import time

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coinwatch.web.error_handlers import apology, route_as_written

log = structlog.get_logger()


class RequestLog:
    """Logs the route as it is written, never the path as called: links in mails hold tokens.

    An exception that nobody expected becomes an apology here, inside the security headers, and a log line with
    its traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        request = Request(scope)
        try:
            await self.app(scope, receive, watch)
        except Exception:
            log.exception("page broke", path=route_as_written(request))
            if status:
                raise
            await apology(request)(scope, receive, watch)
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=route_as_written(request),
                status=status,
                seconds=round(time.monotonic() - began, 4),
            )
