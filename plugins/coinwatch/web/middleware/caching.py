"""Conditional requests: ETag, If-None-Match and 304 (RFC 9110, 13)."""

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = frozenset({"etag", "cache-control", "vary", "content-location", "expires", "link"})  # headers of a 304
MAX_REMEMBERED = 2000


class ConditionalRequests:
    """Adds a weak ETag to each response that may be cached, and responds 304 to a client that has this version.

    For as long as a response is fresh (``max-age``), its ETag is remembered, so that a 304 costs no query. ``clock``
    returns monotonic seconds.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.clock = clock
        self.remembered: OrderedDict[tuple[str, ...], tuple[float, list[tuple[bytes, bytes]]]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        wanted = headers.get("if-none-match")
        key = (scope["root_path"], scope["path"], scope["query_string"].decode("latin-1"), headers.get("accept", ""))
        if wanted and (known := self._recall(key, wanted)):
            await _not_modified(known, send)
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
                if "etag" not in found and not message.get("more_body"):
                    found["ETag"] = f'W/"{blake2b(message.get("body", b""), digest_size=12).hexdigest()}"'
                etag, begun = found.get("etag"), start
                start = None
                if etag is not None:
                    kept = [(name, value) for name, value in begun["headers"] if name.decode("latin-1") in KEPT]
                    self._remember(key, found.get("cache-control", ""), kept)
                    if wanted and matches(wanted, etag):
                        dropped = True
                        await _not_modified(kept, send)
                        return
                await send(begun)
            await send(message)

        await self.app(scope, receive, send_if_modified)

    def _recall(self, key: tuple[str, ...], wanted: str) -> list[tuple[bytes, bytes]] | None:
        until, kept = self.remembered.get(key, (0.0, []))
        etag = next((value.decode("latin-1") for name, value in kept if name == b"etag"), None)
        return kept if etag and self.clock() < until and matches(wanted, etag) else None

    def _remember(self, key: tuple[str, ...], cache_control: str, kept: list[tuple[bytes, bytes]]) -> None:
        seconds = max_age(cache_control)
        if seconds <= 0:
            return
        self.remembered.pop(key, None)
        self.remembered[key] = (self.clock() + seconds, kept)
        while len(self.remembered) > MAX_REMEMBERED:
            self.remembered.popitem(last=False)


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


async def _not_modified(headers: list[tuple[bytes, bytes]], send: Send) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": list(headers)})
    await send({"type": "http.response.body", "body": b""})
