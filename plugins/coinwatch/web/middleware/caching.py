"""Conditional requests: ETag, If-None-Match and 304 (RFC 9110, 13)."""

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = frozenset({"etag", "cache-control", "vary", "content-location", "expires", "link"})  # headers of a 304
MAX_REMEMBERED = 2000
MAX_REUSE_SECONDS = 2.0
MAX_REUSED_BYTES = 128 * 1024  # a day of one-minute prices
MAX_KEPT_BYTES = 16 * 1024**2

RawHeaders = list[tuple[bytes, bytes]]


class _Remembered(NamedTuple):
    """A response without its body. Times are those of the clock."""

    etag: str
    created_at: float
    fresh_until: float
    headers: RawHeaders


Key = tuple[str, ...]


class ConditionalRequests:
    """Adds a weak ETag to each response that may be cached, and responds 304 to a client that has this version.

    For as long as a response is fresh (``max-age``), its ETag is remembered, so that a 304 costs no query. With
    ``reuse``, other clients receive a small public response again for up to MAX_REUSE_SECONDS, with its ``Age``, unless
    they send ``Cache-Control: no-cache``: however many poll the same prices, they are read once. ``clock`` returns
    monotonic seconds.
    """

    def __init__(self, app: ASGIApp, *, reuse: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.reuse = reuse
        self.clock = clock
        self.remembered: OrderedDict[Key, _Remembered] = OrderedDict()
        self.bodies: OrderedDict[Key, tuple[float, bytes]] = OrderedDict()  # until when they are reused, oldest first
        self.kept_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        wanted = headers.get("if-none-match")
        key = (scope["root_path"], scope["path"], scope["query_string"].decode("latin-1"), headers.get("accept", ""))
        known = self.remembered.get(key)
        if known and wanted and self.clock() < known.fresh_until and matches(wanted, known.etag):
            await _not_modified(known.headers, send)
            return
        until, body = self.bodies.get(key, (0.0, b""))
        if known and self.clock() < until and "no-cache" not in headers.get("cache-control", ""):
            age = (b"age", str(int(self.clock() - known.created_at)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [*known.headers, age]})
            await send({"type": "http.response.body", "body": body})
            return
        start: Message | None = None
        dropped = False

        async def send_if_modified(message: Message) -> None:
            nonlocal start, dropped
            if message["type"] == "http.response.start" and _may_be_cached(message):
                start = message  # until the body is known
                return
            if dropped:
                return
            if start is not None and message["type"] == "http.response.body":
                found = MutableHeaders(scope=start)
                complete = not message.get("more_body")
                if "etag" not in found and complete:
                    found["ETag"] = f'W/"{blake2b(message.get("body", b""), digest_size=12).hexdigest()}"'
                etag, begun = found.get("etag"), start
                start = None
                if etag is not None:
                    self._remember(key, found, message.get("body", b"") if complete else None)
                    if wanted and matches(wanted, etag):
                        dropped = True
                        await _not_modified(begun["headers"], send)
                        return
                await send(begun)
            await send(message)

        await self.app(scope, receive, send_if_modified)

    def _remember(self, key: Key, headers: MutableHeaders, body: bytes | None) -> None:
        cache_control, now = headers.get("cache-control", ""), self.clock()
        seconds = max_age(cache_control)
        if seconds <= 0:
            return
        self.remembered.pop(key, None)
        self.remembered[key] = _Remembered(headers["etag"], now, now + seconds, list(headers.raw))
        while len(self.remembered) > MAX_REMEMBERED:
            self.remembered.popitem(last=False)
        _, replaced = self.bodies.pop(key, (now, b""))
        self.kept_bytes -= len(replaced)
        if self.reuse and "public" in cache_control and body is not None and len(body) <= MAX_REUSED_BYTES:
            self.bodies[key] = now + min(seconds, MAX_REUSE_SECONDS), body
            self.kept_bytes += len(body)
            self._drop_bodies(now)

    def _drop_bodies(self, now: float) -> None:
        """Drop the oldest bodies if they are no longer reused or all take too much memory."""
        while self.bodies and (self.kept_bytes > MAX_KEPT_BYTES or next(iter(self.bodies.values()))[0] < now):
            _, (_, dropped) = self.bodies.popitem(last=False)
            self.kept_bytes -= len(dropped)


def matches(if_none_match: str, etag: str) -> bool:
    """Whether one of the versions in an If-None-Match header is this one, by weak comparison."""
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/") in {each.strip().removeprefix("W/") for each in if_none_match.split(",")}


def max_age(cache_control: str) -> int:
    """The seconds in ``max-age``; 0 without it."""
    for directive in cache_control.split(","):
        name, _, value = directive.strip().partition("=")
        if name.lower() == "max-age" and value.isdecimal():
            return int(value)
    return 0


def _may_be_cached(message: Message) -> bool:
    """Whether a response is complete (not a stream), successful, and may be stored."""
    if message["status"] != 200:
        return False
    headers = Headers(raw=message["headers"])
    cache_control = headers.get("cache-control", "no-store")
    return "content-length" in headers and "no-store" not in cache_control


async def _not_modified(headers: RawHeaders, send: Send) -> None:
    kept = [(name, value) for name, value in headers if name.decode("latin-1") in KEPT]
    await send({"type": "http.response.start", "status": 304, "headers": kept})
    await send({"type": "http.response.body", "body": b""})
