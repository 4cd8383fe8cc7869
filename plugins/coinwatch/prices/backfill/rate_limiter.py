"""The gate before every call for history: all workers together keep to the exchange's pace, live collection goes first.

Slots are reserved in ``exchange_status``, by one statement each, so that any number of processes and machines share
them. A worker that dies leaves an unused slot behind and nothing else.
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

# A pause up to this long is waited for; a longer one is for the next run.
PATIENCE = timedelta(minutes=2)
LOOK_AGAIN_SECONDS = 0.25  # at a live fetch, which is over long before the moment it names
NAP_SECONDS = 1.0  # how long a worker that shall stop may sleep on

log = structlog.get_logger()


class Stopped(CoinwatchError):
    """This worker shall not make any more calls."""


class LongRateLimit(RateLimited):
    """The exchange wants a longer pause than we wait for."""


class HistoryRateLimiter:
    """One process's way through the gate; its threads may share it. ``calls`` were let through so far."""

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

    def acquire(self, not_before: datetime | None = None) -> None:
        """Return when the next call may be made; with ``not_before`` neither this nor any later one before it.

        Raises LongRateLimit where the exchange wants more than PATIENCE, Stopped after ``stop``.
        """
        while True:
            now = self._clock()
            slot = self._look("prices/backfill/reserve_call", now=now, not_before=not_before, spacing=self._spacing)
            if self._held(slot, now):
                continue
            made_at = slot.free_at - self._spacing
            if made_at > now:
                self._nap((made_at - now).total_seconds())
                if self._held(self._look("prices/backfill/held_until"), self._clock()):
                    continue
            if self._stopped.is_set():
                raise Stopped("stopped")
            with self._lock:
                self.calls += 1
            return

    def pause(self, error: RateLimited) -> None:
        """Remember for all workers that the exchange wants a pause."""
        log.info("exchange wants a pause", exchange=self._exchange, until=error.blocked_until.isoformat())
        with transaction(self._engine) as connection:
            connection.execute(
                statement("prices/backfill/record_rate_limit"),
                {"exchange_id": self._exchange_id, "blocked_until": error.blocked_until, "error": error.reason},
            )

    def stop(self) -> None:
        """Let nobody through any more and wake who waits."""
        self._stopped.set()

    def _held(self, status: Any, now: datetime) -> bool:
        """Wait for a pause to pass, or a little for a live fetch; whether there was one."""
        if status.blocked_until and status.blocked_until > now:
            if status.blocked_until - now > PATIENCE:
                until = f"{status.blocked_until:%Y-%m-%d %H:%M:%S} UTC"
                raise LongRateLimit(
                    self._exchange, f"wants a pause until {until}: {status.last_error}", status.blocked_until
                )
            self._nap((status.blocked_until - now).total_seconds())
            return True
        if status.live_until and status.live_until > now:
            self._nap(min((status.live_until - now).total_seconds(), LOOK_AGAIN_SECONDS))
            return True
        return False

    def _nap(self, seconds: float) -> None:
        while seconds > 0 and not self._stopped.is_set():
            self._sleep(min(seconds, NAP_SECONDS))
            seconds -= NAP_SECONDS
        if self._stopped.is_set():
            raise Stopped("stopped")

    def _look(self, name: str, **parameters: object) -> Any:
        with transaction(self._engine) as connection:
            return connection.execute(statement(name), {"exchange_id": self._exchange_id, **parameters}).one()
