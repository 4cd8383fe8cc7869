"""The history of new instruments: what their exchanges offer is fetched once, in the background.

One-minute candles of the last 30 days come first, newest first, so that charts and changes over a day or a week are
complete soon; then hourly and daily ones as far back as ``history_days``. What was fetched is recorded in
``candle_fetches``, so an interrupted run continues where it stopped.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import statement, transaction
from coinwatch.errors import CoinwatchError, RateLimited
from coinwatch.prices.backfill.run import Progress
from coinwatch.prices.backfill.runner import backfill_range, exchanges_with_candles
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.settings import Settings
from coinwatch.time_range import DAY, floor_to

DAYS_OF_MINUTES = 30
# Refreshing often lets charts grow while pages arrive, and keeps each refresh short.
SECONDS_BETWEEN_REFRESHES = 2.0
RETRY_AFTER = timedelta(days=1)  # for an instrument whose exchange has no candles for it, or rejects the request

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """What one run fetched: candles and requests, by exchange how many instruments were completed, and what failed.

    ``failed`` has the reason by pair (``kraken BTC/USD``), ``errors`` by exchange. ``waiting`` lists the exchanges that
    rate limited us; the next run continues.
    """

    candles: int = 0
    requests: int = 0
    completed: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    waiting: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, and so for Airflow's XCom."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class HistoryProgress:
    """How far back the history of an exchange's instruments has been fetched.

    ``days_fetched`` of ``days`` are stored or not available, on average; ``complete`` instruments of ``instruments``
    need nothing more. ``error`` is the reason of one that failed.
    """

    exchange: str
    instruments: int
    complete: int
    days: int
    days_fetched: float
    error: str | None


@dataclass(frozen=True, slots=True)
class _Exchange:
    code: str
    pairs: Mapping[str, int]


@dataclass
class _Fetched:
    candles: int = 0
    requests: int = 0
    completed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    retryable: bool = False
    error: CoinwatchError | None = None


def backfill_history(
    engine: Engine,
    settings: Settings,
    *,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    progress: Callable[[str, Progress], None] | None = None,
) -> HistoryResult:
    """Fetch the history of instruments for which that has not been done, from all exchanges at the same time.

    Does nothing if there are none, or if ``history_days`` is 0. An exchange that fails does not affect the others and
    is tried again by the next run; an instrument that its exchange rejects, a day later. ``progress`` gets the exchange
    and what was fetched, from a thread per exchange. Raises DatabaseError.
    """
    pending = _list_pending(engine, settings, clock()) if settings.history_days else []
    if not pending:
        return HistoryResult()
    with ThreadPoolExecutor(len(pending)) as pool:

        def fetch(exchange: _Exchange) -> _Fetched:
            return _backfill_exchange(engine, settings, exchange, clock, sleep, progress)

        fetched = dict(zip((exchange.code for exchange in pending), pool.map(fetch, pending), strict=True))
    result = _combine(fetched)
    log.info("history fetched", candles=result.candles, requests=result.requests, completed=dict(result.completed))
    return result


def read_history_progress(engine: Engine, history_days: int, now: datetime) -> list[HistoryProgress]:
    """How far the history of each exchange has been fetched, by code; exchanges without candles are left out."""
    with transaction(engine) as connection:
        parameters = {"days": history_days, "now": now}
        rows = connection.execute(statement("prices/backfill/history/select_progress"), parameters).all()
    return [
        HistoryProgress(
            row.exchange, row.instruments, row.complete, history_days, round(float(row.days_fetched), 1), row.error
        )
        for row in rows
    ]


def _list_pending(engine: Engine, settings: Settings, now: datetime) -> list[_Exchange]:
    exchanges = exchanges_with_candles(engine, settings)
    with transaction(engine) as connection:
        new = statement("prices/backfill/history/insert_new_instruments")
        connection.execute(new, {"exchanges": exchanges, "now": now})
        parameters = {"exchanges": exchanges, "days": settings.history_days, "retry_before": now - RETRY_AFTER}
        rows = connection.execute(statement("prices/backfill/history/select_pending"), parameters).all()
    return [
        _Exchange(code, {row.pair: row.instrument_id for row in group})
        for code, group in groupby(rows, key=lambda row: row.exchange)
    ]


def _backfill_exchange(
    engine: Engine,
    settings: Settings,
    exchange: _Exchange,
    clock: Clock,
    sleep: Callable[[float], None],
    progress: Callable[[str, Progress], None] | None,
) -> _Fetched:
    fetched, refreshed_at = _Fetched(), time.monotonic()

    def report(done: Progress) -> None:
        nonlocal refreshed_at
        if progress is not None:
            progress(exchange.code, done)
        if time.monotonic() - refreshed_at >= SECONDS_BETWEEN_REFRESHES:
            refresh_candles(engine)
            refreshed_at = time.monotonic()

    now = clock()
    minutes_from, days_from = (
        floor_to(now - min(days, settings.history_days) * DAY, DAY) for days in (DAYS_OF_MINUTES, settings.history_days)
    )
    parts: list[tuple[Resolution, datetime, datetime]] = [("1m", minutes_from, now), ("1h", days_from, minutes_from)]
    try:
        for finest, start, end in parts:
            if start < end:
                result = backfill_range(
                    engine,
                    settings,
                    exchange.code,
                    start,
                    end,
                    finest=finest,
                    instruments=[number for pair, number in exchange.pairs.items() if pair not in fetched.failed],
                    clock=clock,
                    sleep=sleep,
                    progress=report,
                )
                fetched.candles += result.stored.inserted + result.stored.corrected
                fetched.requests += result.requests
                fetched.failed.update(result.failed)
                fetched.retryable |= result.retryable
    except CoinwatchError as error:
        log.warning("history not fetched", exchange=exchange.code, error=str(error))
        fetched.error = error
    finally:
        refresh_candles(engine)
    _record(engine, settings, exchange, fetched, clock())
    return fetched


def _record(engine: Engine, settings: Settings, exchange: _Exchange, fetched: _Fetched, now: datetime) -> None:
    with transaction(engine) as connection:
        for pair, reason in fetched.failed.items():
            failed_at = None if fetched.retryable else now
            failed = {"instrument_id": exchange.pairs.get(pair), "failed_at": failed_at, "error": reason}
            connection.execute(statement("prices/backfill/history/mark_failed"), failed)
        if fetched.error is None:
            done = [number for pair, number in exchange.pairs.items() if pair not in fetched.failed]
            completed = {"instrument_ids": done, "days": settings.history_days}
            connection.execute(statement("prices/backfill/history/mark_completed"), completed)
            fetched.completed = len(done)


def _combine(fetched: Mapping[str, _Fetched]) -> HistoryResult:
    values: dict[str, Any] = {
        "candles": sum(each.candles for each in fetched.values()),
        "requests": sum(each.requests for each in fetched.values()),
        "completed": {code: each.completed for code, each in fetched.items() if each.completed},
        "failed": {f"{code} {pair}": reason for code, each in fetched.items() for pair, reason in each.failed.items()},
        "errors": {
            code: str(each.error)
            for code, each in fetched.items()
            if each.error is not None and not isinstance(each.error, RateLimited)
        },
        "waiting": [code for code, each in fetched.items() if isinstance(each.error, RateLimited)],
    }
    return HistoryResult(**values)
