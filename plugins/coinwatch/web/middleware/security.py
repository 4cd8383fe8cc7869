"""Security headers, a limit on request bodies, and protection against cross-site requests."""

from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coinwatch.web.error_handlers import error_response, route_template

MAX_BODY_BYTES = 64 * 1024
MAX_URL_BYTES = 8 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ONE_CLICK = "/unsubscribe/{token}"
DEFAULT_PORTS = {"http": 80, "https": 443}


def security_headers(inside_airflow: bool) -> dict[str, str]:
    """Headers of every response. Inside Airflow, Airflow's own pages may embed ours in a frame."""
    ancestors = "'self'" if inside_airflow else "'none'"
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
        ),
        "X-Frame-Options": "SAMEORIGIN" if inside_airflow else "DENY",
        "X-Content-Type-Options": "nosniff",
        # Keeps the tokens in paths from other sites, from other apps below the same host name, and from the log of a
        # proxy. Not no-referrer, with which browsers send "Origin: null" for our own forms.
        "Referrer-Policy": "strict-origin",
        "X-Robots-Tag": "noindex, nofollow",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


class SecurityHeaders:
    """Adds :func:`security_headers` to every response, and disables caching of pages and API responses."""

    def __init__(self, app: ASGIApp, *, inside_airflow: bool) -> None:
        self.app = app
        headers = security_headers(inside_airflow)
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self.names = frozenset(name for name, _ in self.headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [header for header in message["headers"] if header[0] not in self.names]
                if not any(name == b"cache-control" for name, _ in own):
                    own.append((b"cache-control", b"no-store"))
                message["headers"] = own + self.headers
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BodyLimit:
    """Rejects addresses longer than :data:`MAX_URL_BYTES`, and bodies larger than :data:`MAX_BODY_BYTES`.

    With or without a Content-Length, a body is rejected while it is read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) + len(scope["query_string"]) > MAX_URL_BYTES:
            too_long = f"The address is too long; the maximum is {MAX_URL_BYTES:,} characters."
            await error_response(Request(scope), 414, too_long)(scope, receive, send)
            return
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

    SameSite=Lax does not protect against a page on another port of the same host, and a form that another site submits
    without cookies would count against its visitor's rate limit. A request that changes something must therefore come
    from our own pages, according to Sec-Fetch-Site or else Origin. Programs send neither header, and no cookies.
    One-click unsubscribe (RFC 8058) may come from an email provider's page; its token is all it needs.

    ``public_url`` returns the URL at which browsers reach this app: a proxy may change the Host header. Scripts of the
    ``origins()`` in COINWATCH_CORS_ORIGINS that are listed by name may send changes without cookies.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        public_url: Callable[[], str],
        origins: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.app = app
        self.public_url = public_url
        self.origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = (
            scope["type"] != "http"
            or scope["method"] in SAFE_METHODS
            or route_template(Request(scope)) == ONE_CLICK
            or is_same_origin(Headers(scope=scope), self.public_url())
            or self._is_listed(Headers(scope=scope))
        )
        if allowed:
            await self.app(scope, receive, send)
            return
        message = "This request came from another site. Open the form on this site and submit it again."
        response = error_response(Request(scope), 403, message)
        await response(scope, receive, send)

    def _is_listed(self, headers: Headers) -> bool:
        return "cookie" not in headers and headers.get("origin") in self.origins()


def is_same_origin(headers: Headers, public_url: str) -> bool:
    """Whether a request with these headers may change something, because it comes from our own pages or a program."""
    site = headers.get("sec-fetch-site")
    if site is not None:  # set by the browser; also correct behind proxies that change the Host header
        return site == "same-origin"
    origin = headers.get("origin")
    if origin is None:
        return "cookie" not in headers
    ours, scheme = headers.get("host", ""), origin.partition("://")[0]
    # The scheme of the Host header is unknown behind a proxy that ends TLS.
    return _host_and_port(origin) in {_host_and_port(f"{scheme}://{ours}"), _host_and_port(public_url)} - {None}


def _host_and_port(url: str) -> tuple[str, int | None] | None:
    """Host and port of an http(s) URL, None for anything else (an Origin may have any value, such as ``null``)."""
    try:
        parts = urlsplit(url)
        if parts.scheme in DEFAULT_PORTS and parts.hostname:
            return parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError:
        pass
    return None
