"""Making requests from several threads, within an exchange's rate limit."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.batching import QuoteResult, build_batch
from coinwatch.exchanges.models import Instrument, QuoteBatch

MAX_THREADS = 4
MAX_FAILURES = 3


def fetch_each(
    instruments: Sequence[Instrument], fetch: Callable[[Instrument], QuoteResult], threads: int = MAX_THREADS
) -> QuoteBatch:
    """One request per instrument, from several threads, for exchanges that cannot return many at once.

    RateLimited or ExchangeDenied stops the remaining requests at once, ExchangeUnavailable after three failures.
    """
    errors: list[ExchangeError] = []

    def attempt(instrument: Instrument) -> QuoteResult | None:
        if _should_stop(errors):
            return None
        try:
            return fetch(instrument)
        except ExchangeError as error:
            errors.append(error)
            return None

    with ThreadPoolExecutor(max(1, min(threads, len(instruments)))) as pool:
        results = [result for result in pool.map(attempt, instruments) if result is not None]
    return build_batch(results, _most_serious(errors))


class TokenBucket:
    """A rate limiter for the threads of one process: ``per_second`` calls on average, up to ``burst`` at once."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds_per_call = 1 / per_second
        self._burst = burst
        self._monotonic = monotonic
        self._sleep = sleep
        self._next_call_at = -math.inf  # if no burst were allowed
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Wait until the next call may be made."""
        with self._lock:
            now = self._monotonic()
            earliest = now - self._burst * self._seconds_per_call
            self._next_call_at = max(self._next_call_at, earliest) + self._seconds_per_call
            delay = self._next_call_at - now
        if delay > 0:
            self._sleep(delay)


def _should_stop(errors: Sequence[ExchangeError]) -> bool:
    return len(errors) >= MAX_FAILURES or any(not isinstance(error, ExchangeUnavailable) for error in errors)


def _most_serious(errors: Sequence[ExchangeError]) -> ExchangeError | None:
    for kind in (RateLimited, ExchangeDenied, ExchangeUnavailable):
        for error in errors:
            if isinstance(error, kind):
                return error
    return None
