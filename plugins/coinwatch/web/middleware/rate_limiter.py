"""How often one caller may subscribe or have rules tried, and how many rules are tried at the same time.

Counted in this process's memory: with several server processes each counts for itself, and a restart forgets.
That is enough against a script that fills the outbox or keeps Postgres busy; the library besides limits the mails per
address.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from coinwatch.web.error_handlers import TooManyRequests

# (calls, in seconds)
Limits = tuple[tuple[int, float], ...]
SUBSCRIPTIONS: Limits = ((10, 60.0), (60, 86_400.0))
BACKTESTS: Limits = ((40, 60.0), (1000, 86_400.0))  # a form asks again after each change
MAX_CALLERS = 10_000  # the one not seen for longest is forgotten first


class CallLimit:
    """Raises TooManyRequests from :meth:`take` when a caller has asked too often for ``what``.

    ``clock`` is monotonic seconds.
    """

    def __init__(self, what: str, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._limits = limits
        self._clock = clock
        self._calls: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = Lock()

    def take(self, client: str) -> None:
        """Count one request of the client (an IP address; of IPv6 its /64 network, which is one household)."""
        now, caller = self._clock(), _network(client)
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
            seconds = math.ceil(max(waits))
            message = f"Too many {self._what} came from your network. Please try again in {_waiting(seconds)}."
            raise TooManyRequests(message, seconds)


class Turns:
    """Work that only so many callers may do at the same time in this process."""

    def __init__(self, at_once: int, patience_seconds: float) -> None:
        self._free = BoundedSemaphore(at_once)
        self._patience_seconds = patience_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Waits for a turn as long as patience lasts, then TooManyRequests."""
        if not self._free.acquire(timeout=self._patience_seconds):
            raise TooManyRequests("Others are trying out rules right now. Please try again in a few seconds.", 5)
        try:
            yield
        finally:
            self._free.release()


def _wait(calls: list[float], count: int, seconds: float, now: float) -> float:
    """Seconds until one more of ``count`` calls in ``seconds`` is free; 0 when one is."""
    recent = [moment for moment in calls if moment > now - seconds]
    return max(0.0, recent[-count] + seconds - now) if len(recent) >= count else 0.0


def _network(client: str) -> str:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else client


def _waiting(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
