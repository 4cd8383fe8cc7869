"""The rate limiter for requests for past candles: all workers share one limit, and live collection has priority.

Calls are reserved in ``exchange_status``, with one statement each, so any number of processes and machines can share
the limit. A worker that dies leaves one unused reservation behind and nothing else.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock
from coinwatch.database import statement, transaction
from coinwatch.errors import CoinwatchError, RateLimited
from coinwatch.formatting import format_timestamp

# Wait for a rate limit up to this long; a longer one is left to the next run.
LONGEST_WAIT = timedelta(minutes=2)
LIVE_POLL_SECONDS = 0.25  # how often to check whether a live fetch has ended; it rarely takes until live_until
STOP_POLL_SECONDS = 1.0  # how often a sleeping thread checks whether to stop

log = structlog.get_logger()


class Stopped(CoinwatchError):
    """The rate limiter was stopped; make no further calls."""


class LongRateLimit(RateLimited):
    """The exchange's rate limit lasts longer than LONGEST_WAIT."""


class HistoryRateLimiter:
    """The rate limiter of one exchange, for the threads of one process. ``calls`` is how many calls it allowed."""

    def __init__(
        self,
        engine: Engine,
        exchange: str,
        exchange_id: int,
        calls_per_second: float,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self.calls = 0
        self._engine = engine
        self._exchange = exchange
        self._exchange_id = exchange_id
        self._spacing = timedelta(seconds=1 / calls_per_second)
        self._clock = clock
        self._sleep = sleep
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    def acquire(self, not_before: datetime | None = None) -> None:
        """Wait until the next call may be made; neither it nor any later call is made before ``not_before``.

        Raises LongRateLimit if the exchange's rate limit lasts longer than LONGEST_WAIT, Stopped after ``stop``.
        """
        while True:
            now = self._clock()
            reserved = self._execute(
                "prices/backfill/reserve_call", now=now, not_before=not_before, spacing=self._spacing
            )
            if self._wait_while_blocked(reserved, now):
                continue
            call_at = reserved.history_free_at - self._spacing
            if call_at > now:
                self._wait((call_at - now).total_seconds())
                if self._wait_while_blocked(self._execute("prices/backfill/select_rate_limit"), self._clock()):
                    continue
            if self.is_stopped:
                raise Stopped("stopped")
            with self._lock:
                self.calls += 1
            return

    def record_rate_limit(self, error: RateLimited) -> None:
        """Record for all workers that the exchange must not be called before ``error.blocked_until``."""
        log.info("exchange rate limited", exchange=self._exchange, blocked_until=error.blocked_until.isoformat())
        with transaction(self._engine) as connection:
            connection.execute(
                statement("prices/backfill/record_rate_limit"),
                {"exchange_id": self._exchange_id, "blocked_until": error.blocked_until, "error": error.reason},
            )

    def stop(self) -> None:
        """Allow no further calls and wake up the threads that are waiting."""
        self._stopped.set()

    def _wait_while_blocked(self, status: Any, now: datetime) -> bool:
        """Wait for a rate limit to end, or briefly for a live fetch; returns whether there was one."""
        if status.blocked_until and status.blocked_until > now:
            if status.blocked_until - now > LONGEST_WAIT:
                raise LongRateLimit(self._exchange, _reason(status), status.blocked_until)
            self._wait((status.blocked_until - now).total_seconds())
            return True
        if status.live_until and status.live_until > now:
            self._wait(min((status.live_until - now).total_seconds(), LIVE_POLL_SECONDS))
            return True
        return False

    def _wait(self, seconds: float) -> None:
        while seconds > 0 and not self.is_stopped:
            self._sleep(min(seconds, STOP_POLL_SECONDS))
            seconds -= STOP_POLL_SECONDS
        if self.is_stopped:
            raise Stopped("stopped")

    def _execute(self, name: str, **parameters: object) -> Any:
        with transaction(self._engine) as connection:
            return connection.execute(statement(name), {"exchange_id": self._exchange_id, **parameters}).one()


def _reason(status: Any) -> str:
    until = format_timestamp(status.blocked_until)
    last_error = status.last_error or "no reason given"
    return last_error if until in last_error else f"rate limited until {until} ({last_error})"
