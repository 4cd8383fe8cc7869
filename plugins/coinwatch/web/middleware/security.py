"""Security headers, a limit on request bodies, and protection against cross-site requests."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coinwatch.web.error_handlers import error_response

MAX_BODY_BYTES = 64 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def security_headers(inside_airflow: bool) -> dict[str, str]:
    """Headers of every response. Inside Airflow, Airflow's own pages may embed ours in a frame."""
    ancestors = "'self'" if inside_airflow else "'none'"
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
        ),
        "X-Frame-Options": "SAMEORIGIN" if inside_airflow else "DENY",
        "X-Content-Type-Options": "nosniff",
        # Not no-referrer, with which browsers send "Origin: null" for our own forms. same-origin keeps the tokens in
        # paths from other sites.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


class SecurityHeaders:
    """Adds :func:`security_headers` to every response, and disables caching of pages and API responses."""

    def __init__(self, app: ASGIApp, *, inside_airflow: bool) -> None:
        self.app = app
        self.headers = security_headers(inside_airflow)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self.headers)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BodyLimit:
    """Rejects bodies larger than :data:`MAX_BODY_BYTES`, with or without a Content-Length, while reading them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        content_length = request.headers.get("content-length", "0")
        too_large = not content_length.isdecimal() or int(content_length) > MAX_BODY_BYTES
        chunks: list[bytes] = []
        more = not too_large
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunks.append(message.get("body", b""))
            too_large = sum(map(len, chunks)) > MAX_BODY_BYTES
            more = message.get("more_body", False) and not too_large
        if too_large:
            response = error_response(
                request, 413, f"The request is too large; the maximum is {MAX_BODY_BYTES:,} bytes."
            )
            await response(scope, receive, send)
            return
        body: list[Message] = [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]

        async def receive_body() -> Message:
            return body.pop() if body else await receive()

        await self.app(scope, receive_body, send)


class OriginCheck:
    """Rejects changes that another site makes with a visitor's cookies (CSRF).

    SameSite=Lax does not protect against a page on another port of the same host. A request that has cookies and
    changes something must therefore come from our own pages, according to Sec-Fetch-Site or else Origin. Requests
    without cookies (a bearer token, an email provider's one-click unsubscribe) are not at risk.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or is_same_origin(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        message = "This request came from another site. Open the form on this site and submit it again."
        response = error_response(Request(scope), 403, message)
        await response(scope, receive, send)


def is_same_origin(headers: Headers) -> bool:
    """Whether a request with these headers may use its cookies to change something."""
    if "cookie" not in headers:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:  # set by the browser; also correct behind proxies that change the Host header
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")
