"""How many requests a caller may send per minute, with the headers that say so.

Counts are kept in the memory of this process, so that reading never costs a write. Limits that protect people (emails,
sign-in, keys) are in Postgres. Headers: draft-ietf-httpapi-ratelimit-headers.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import blake2b

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coinwatch.web.error_handlers import error_response
from coinwatch.web.middleware.rate_limiter import network_of

WINDOW_SECONDS = 60.0
MAX_CALLERS = 10_000  # the least recently seen one is dropped first
MAX_KEYS = 1000
POLICY = "requests"
# What a request counts as, by the beginning of its path; 1 for others. Health checks and static files are free.
COSTS: Mapping[str, int] = {
    "/health": 0,
    "/ready": 0,
    "/static/": 0,
    "/api/v1/history/": 5,
    "/api/v1/candles/": 5,
    "/api/v1/backtest": 5,
    "/udf/history": 5,
    "/price-history-minutes/": 5,
    "/GetPriceHistory": 5,
    "/coins/": 5,
}


class RequestQuota:
    """Responds 429 to callers who exceed ``limit()`` per minute (0 for no limit), and tells all others what is left.

    A caller is an API key, once it was accepted, or else a network (an IPv4 address, an IPv6 /64). ``clock`` returns
    monotonic seconds.
    """

    def __init__(self, app: ASGIApp, *, limit: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.limit = limit
        self.clock = clock
        self.used: OrderedDict[str, tuple[float, int]] = OrderedDict()  # start of the window, units
        self.keys: OrderedDict[bytes, str] = OrderedDict()  # accepted Authorization headers (hashed), and their callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self.limit() if scope["type"] == "http" else 0
        if limit <= 0:
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})
        authorization = Headers(scope=scope).get("authorization")
        digest = blake2b(authorization.encode()).digest() if authorization else None
        caller = self.keys.get(digest, "") if digest else ""
        cost = cost_of(scope["path"].removeprefix(scope["root_path"]))
        remaining, seconds = self._count(
            caller or network_of(scope["client"][0] if scope["client"] else ""), cost, limit
        )
        headers = [
            (b"ratelimit-policy", f'"{POLICY}";q={limit};w={WINDOW_SECONDS:.0f}'.encode()),
            (b"ratelimit", f'"{POLICY}";r={max(0, remaining)};t={seconds}'.encode()),
        ]

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
                if digest and not caller:
                    self._remember_key(digest, scope)
            await send(message)

        if remaining < 0:
            message = f"This is more than {limit:,} requests in a minute. Try again in {seconds} seconds."
            response = error_response(Request(scope), 429, message, headers={"Retry-After": str(seconds)})
            await response(scope, receive, send_with_quota)
            return
        await self.app(scope, receive, send_with_quota)

    def _count(self, caller: str, cost: int, limit: int) -> tuple[int, int]:
        """Count a request; return the units left, negative if it exceeds the limit, and seconds until they reset."""
        now = self.clock()
        start, used = self.used.pop(caller, (now, 0))
        if now >= start + WINDOW_SECONDS:
            start, used = now, 0
        remaining = limit - used - cost if cost else limit - used
        self.used[caller] = (start, used + cost if remaining >= 0 else used)
        while len(self.used) > MAX_CALLERS:
            self.used.popitem(last=False)
        return remaining if cost else max(0, remaining), max(1, math.ceil(start + WINDOW_SECONDS - now))

    def _remember_key(self, digest: bytes, scope: Scope) -> None:
        """Count later requests with this Authorization header for its key, if the key was accepted."""
        visitor = scope["state"].get("visitor")
        if visitor is None:
            return
        self.keys[digest] = f"key {visitor.key_id or visitor.name}"
        while len(self.keys) > MAX_KEYS:
            self.keys.popitem(last=False)


def cost_of(path: str) -> int:
    """What a request for this path counts as."""
    return next((cost for start, cost in COSTS.items() if path.startswith(start)), 1)
