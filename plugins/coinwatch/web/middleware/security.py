"""What guards every request and answer: headers, a limit on bodies, and the origin of changes."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coinwatch.web.error_handlers import error_answer

MAX_BODY_BYTES = 64 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def security_headers(inside_airflow: bool) -> dict[str, str]:
    """Headers of every answer; inside Airflow its own pages may show ours in a frame, nobody else may."""
    ancestors = "'self'" if inside_airflow else "'none'"
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
        ),
        "X-Frame-Options": "SAMEORIGIN" if inside_airflow else "DENY",
        "X-Content-Type-Options": "nosniff",
        # Not no-referrer: with it, browsers send 'Origin: null' for our own forms. Links in mails hold tokens in
        # their path, and same-origin keeps those from every other site.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


class SecurityHeaders:
    """Adds :func:`security_headers` to every answer, and forbids caches to keep pages and API answers."""

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
    """Refuses request bodies over :data:`MAX_BODY_BYTES`, announced or not, before they are kept in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        announced = request.headers.get("content-length", "0")
        too_large = not announced.isdecimal() or int(announced) > MAX_BODY_BYTES
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
            answer = error_answer(request, 413, f"A request may have {MAX_BODY_BYTES:,} bytes at most.")
            await answer(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]

        async def receive_whole() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, receive_whole, send)


class OriginCheck:
    """Refuses changes that another site makes with a visitor's cookies.

    SameSite=Lax is no help against a page on another port of the same host, so a request that carries cookies and
    changes something has to prove that it comes from our own pages: Sec-Fetch-Site, else Origin, else refused.
    Requests without cookies (a bearer token, a mail provider's one-click unsubscribe) have nothing to steal.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or comes_from_our_pages(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        answer = error_answer(
            Request(scope), 403, "This was sent from another site. Open the form here and send it again."
        )
        await answer(scope, receive, send)


def comes_from_our_pages(headers: Headers) -> bool:
    """Whether a changing request with these headers may use the cookies it carries."""
    if "cookie" not in headers:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:  # set by the browser itself, and right behind proxies that change the Host header
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")
