"""Rate limits per caller, and limits on concurrent expensive queries.

Counts are kept in the memory of this process: several server processes count separately, and a restart resets them.
That is enough to stop a script from keeping Postgres busy. Limits that protect people are counted in Postgres
(``access/rate_limits.py``).
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from coinwatch.web.error_handlers import Busy, TooManyRequests
from coinwatch.web.middleware.proxies import parse_address

# (calls, period in seconds)
Limits = tuple[tuple[int, float], ...]
BACKTESTS: Limits = ((40, 60.0), (1000, 86_400.0))  # the form sends one after each change
MAX_CALLERS = 10_000  # the least recently seen one is dropped first


class RateLimit:
    """Limits the calls of one caller. ``what`` names them in the error; ``clock`` returns monotonic seconds."""

    def __init__(self, what: str, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._limits = limits
        self._clock = clock
        self._calls: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = Lock()

    def check(self, client: str) -> None:
        """Count a call of a client, given by its IP address (IPv6 addresses count per /64 network).

        Raises TooManyRequests if a limit is reached; such a call is not counted.
        """
        now, caller = self._clock(), network_of(client)
        with self._lock:
            longest = max(seconds for _, seconds in self._limits)
            calls = [moment for moment in self._calls.pop(caller, []) if moment > now - longest]
            waits = [_wait(calls, count, seconds, now) for count, seconds in self._limits]
            if max(waits) == 0:
                calls.append(now)
            self._calls[caller] = calls
            while len(self._calls) > MAX_CALLERS:
                self._calls.popitem(last=False)
        if max(waits) > 0:
            raise too_many_calls(f"{self._what} from your network", max(waits))


class ConcurrencyLimit:
    """Limits how many queries of a kind this process runs at the same time; ``what`` names them in the error.

    Only as many may wait for a slot as can run, so that they never occupy all threads of the server: its pages stay
    fast.
    """

    def __init__(self, what: str, max_concurrent: int, max_wait_seconds: float) -> None:
        self._what = what
        self._slots = BoundedSemaphore(max_concurrent)
        self._admitted = BoundedSemaphore(2 * max_concurrent)
        self._max_wait_seconds = max_wait_seconds

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Wait for a free slot and hold it. Raises Busy after ``max_wait_seconds``, or if many wait."""
        if not self._admitted.acquire(blocking=False):
            raise self._too_many()
        try:
            if not self._slots.acquire(timeout=self._max_wait_seconds):
                raise self._too_many()
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._admitted.release()

    def _too_many(self) -> Busy:
        return Busy(f"Too many {self._what} are running right now. Try again in a few seconds.", 5)


def too_many_calls(what: str, wait_seconds: float) -> TooManyRequests:
    """The error for a caller that made too many calls; ``what`` names them and whose they are."""
    seconds = math.ceil(wait_seconds)
    return TooManyRequests(f"Too many {what}. Try again in {_wait_text(seconds)}.", seconds)


def _wait(calls: list[float], count: int, seconds: float, now: float) -> float:
    """Seconds until another call is allowed, with up to ``count`` calls in ``seconds``; 0 if it is allowed now."""
    recent = [moment for moment in calls if moment > now - seconds]
    return max(0.0, recent[-count] + seconds - now) if len(recent) >= count else 0.0


def network_of(client: str) -> str:
    """The network that a client's calls are counted for: an IPv4 address, or a /64 of IPv6."""
    address = parse_address(client)
    if address is None:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def _wait_text(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
