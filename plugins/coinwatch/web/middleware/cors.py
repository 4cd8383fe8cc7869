"""Cross-origin requests from other sites' scripts (CORS). None are allowed unless COINWATCH_CORS_ORIGINS lists them."""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANY = "*"
METHODS = "GET, HEAD, POST, PATCH, DELETE"
REQUEST_HEADERS = "Accept, Authorization, Content-Type, If-None-Match, Last-Event-ID"
EXPOSED_HEADERS = "ETag, Link, RateLimit, RateLimit-Policy, Retry-After, Content-Disposition"
PREFLIGHT_SECONDS = 3600


class Cors:
    """Lets scripts of the ``origins()`` read responses, errors too, and answers preflight requests.

    Credentials are never allowed: cookies of a visitor, and the login to Airflow, are of no use to other sites.
    """

    def __init__(self, app: ASGIApp, *, origins: Callable[[], Collection[str]]) -> None:
        self.app = app
        self.origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = self.origins() if scope["type"] == "http" else ()
        if not allowed:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        granted = ANY if ANY in allowed else origin if is_allowed(origin, allowed) else None
        if granted and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            preflight = Response(status_code=204, headers=_preflight_headers(granted))
            await preflight(scope, receive, send)
            return

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                if granted != ANY:
                    found.add_vary_header("Origin")
                if granted and origin:
                    found["Access-Control-Allow-Origin"] = granted
                    found["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            await send(message)

        await self.app(scope, receive, send_with_cors)


def is_allowed(origin: str | None, allowed: Collection[str]) -> bool:
    """Whether an origin is listed by name; browsers send it in lower case, without a trailing slash."""
    return origin is not None and origin in allowed


def _preflight_headers(granted: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": granted,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Vary": "Origin",
    }
