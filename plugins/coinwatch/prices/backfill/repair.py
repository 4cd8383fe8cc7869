"""Repair: filling gaps with the exchange's own candles.

An open gap is resolved in one of two ways: candles fill it, or the exchange responded without any, and it becomes
unavailable, with the reason, and is not requested again. If the exchange does not respond, its gaps stay open for the
next run, for up to a week.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import statement, transaction
from coinwatch.errors import ConfigurationError, ExchangeError
from coinwatch.exchanges.models import Exchange
from coinwatch.exchanges.registry import open_exchange
from coinwatch.prices.backfill.gaps import RangeToCheck, gap_tolerance, resolve_gaps
from coinwatch.prices.backfill.runner import backfill_range
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.resolutions import width_seconds
from coinwatch.settings import Settings
from coinwatch.time_range import HOUR, MINUTE, TimeRange, ceil_to, floor_to

# The exchange may not have published the candles of the last minutes yet.
MIN_AGE = timedelta(minutes=15)
# Gaps of one instrument and day that are closer than this are requested together, as one page covers both.
MAX_DISTANCE = timedelta(hours=5)
GIVE_UP_AFTER = timedelta(days=7)
MAX_SECONDS = 15 * 60.0  # after which nothing more is requested; the next run continues

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RepairResult:
    """The result for one exchange: gaps (or parts) filled and found unavailable, and ``requests`` to the exchange.

    ``failed`` maps the pairs whose candles could not be fetched to the reason; their gaps are still open.
    """

    exchange: str
    filled: int = 0
    unavailable: int = 0
    requests: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, and so for Airflow's XCom."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class OpenGap:
    """The part of an open gap that is old enough to be requested."""

    instrument_id: int
    exchange: str
    pair: str
    time_range: TimeRange
    detected_at: datetime


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a gap, and the ``reason`` why the exchange cannot fill it; None if it may yet do so."""

    instrument_id: int
    time_range: TimeRange
    reason: str | None


@dataclass
class _Fetched:
    """What was fetched: the ``gaps`` the exchange responded for, the pairs that failed, and the error that ended it."""

    gaps: list[OpenGap] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    error: ExchangeError | None = None


def exchanges_with_open_gaps(engine: Engine, now: datetime) -> list[str]:
    """Codes of the enabled exchanges that have an open gap old enough to be requested, sorted."""
    return sorted({gap.exchange for gap in _open_gaps(engine, None, now)})


def repair_gaps(
    engine: Engine, settings: Settings, *, clock: Clock = utc_now, sleep: Callable[[float], None] = time.sleep
) -> tuple[list[RepairResult], dict[str, str]]:
    """Repair the gaps of all exchanges, one after the other; returns the results, and the errors by exchange."""
    results, failed = [], {}
    for code in exchanges_with_open_gaps(engine, clock()):
        try:
            results.append(repair_exchange(engine, settings, code, clock=clock, sleep=sleep))
        except (ExchangeError, ConfigurationError) as error:
            log.error("gaps not repaired", exchange=code, error=str(error))
            failed[code] = error.reason if isinstance(error, ExchangeError) else str(error)
    return results, failed


def summarize_repairs(results: Sequence[RepairResult], failed: Mapping[str, str]) -> dict[str, object]:
    """The totals of ``repair_gaps``; ``failed`` has the errors by exchange, or by exchange and pair."""
    pairs = {f"{result.exchange} {pair}": reason for result in results for pair, reason in result.failed.items()}
    return {
        "filled": sum(result.filled for result in results),
        "unavailable": sum(result.unavailable for result in results),
        "failed": {**failed, **pairs},
    }


def repair_exchange(
    engine: Engine,
    settings: Settings,
    code: str,
    *,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    max_seconds: float = MAX_SECONDS,
) -> RepairResult:
    """Fill one exchange's open gaps, newest first, and mark those it cannot fill as unavailable.

    1. Fetch the candles of the gaps.
    2. Roll up the coarser candles.
    3. Check again: filled gaps are repaired; those the exchange has no candles for are unavailable.

    Raises the ExchangeError after resolving the gaps fetched before it, ConfigurationError or DatabaseError.
    """
    gaps = _open_gaps(engine, code, clock())
    with closing(open_exchange(code, settings, clock)) as adapter:
        name = settings.exchanges[code].name
        fetched = _Fetched(gaps)
        if adapter.candle_intervals:
            fetched = _fetch(engine, settings, code, gaps, clock, sleep, max_seconds)
            refresh_candles(engine)
        parts = _split_by_reason(engine, name, adapter, fetched.gaps, clock())
        tolerance = gap_tolerance(settings, adapter.minimum_interval_seconds)
    given_up = [
        _Part(gap.instrument_id, gap.time_range, f"not filled within a week; last error: {error}")
        for gap, error in _failed_gaps(gaps, fetched)
        if gap.detected_at <= clock() - GIVE_UP_AFTER
    ]
    ranges = [RangeToCheck(part.instrument_id, part.time_range, tolerance, part.reason) for part in [*parts, *given_up]]
    filled, unavailable = resolve_gaps(engine, ranges, clock())
    result = RepairResult(code, filled, unavailable, fetched.requests, fetched.failed)
    log.info("gaps repaired", **result.as_dict())
    if fetched.error is not None:
        raise fetched.error
    return result


def _open_gaps(engine: Engine, code: str | None, now: datetime) -> list[OpenGap]:
    parameters = {"exchange": code, "until": floor_to(now - MIN_AGE, MINUTE)}
    with transaction(engine) as connection:
        rows = connection.execute(statement("prices/backfill/gaps/select_open_gaps"), parameters).all()
    return [
        OpenGap(row.instrument_id, row.exchange, row.pair, TimeRange(row.started_at, row.ended_at), row.detected_at)
        for row in rows
    ]


def _fetch(
    engine: Engine,
    settings: Settings,
    code: str,
    gaps: Sequence[OpenGap],
    clock: Clock,
    sleep: Callable[[float], None],
    max_seconds: float,
) -> _Fetched:
    """Fetch the candles of the gaps until all are done, the exchange fails, or the time is up."""
    started = time.monotonic()
    fetched = _Fetched()
    for time_range, group in _group_gaps(gaps).items():
        if time.monotonic() - started > max_seconds:
            log.warning("gaps not repaired in time", exchange=code, gaps=len(gaps) - len(fetched.gaps))
            break
        try:
            result = backfill_range(
                engine,
                settings,
                code,
                time_range.start,
                time_range.end,
                instruments={gap.instrument_id for gap in group},
                again=True,
                clock=clock,
                sleep=sleep,
            )
        except ExchangeError as error:
            fetched.error = error
            break
        fetched.requests += result.requests
        fetched.failed.update(result.failed)
        fetched.gaps += [gap for gap in group if gap.pair not in result.failed]
    return fetched


def _group_gaps(gaps: Sequence[OpenGap]) -> dict[TimeRange, list[OpenGap]]:
    """The time ranges to request and the gaps in each, newest first.

    Gaps of one instrument and UTC day that are close are grouped. The ranges are whole hours, so an outage gives one
    range for all instruments.
    """
    by_instrument: dict[int, list[list[OpenGap]]] = defaultdict(list)
    for gap in gaps:  # newest first
        groups = by_instrument[gap.instrument_id]
        if groups and _are_close(gap, groups[-1][-1]):
            groups[-1].append(gap)
        else:
            groups.append([gap])
    by_range: dict[TimeRange, list[OpenGap]] = defaultdict(list)
    for groups in by_instrument.values():
        for group in groups:
            start, end = floor_to(group[-1].time_range.start, HOUR), ceil_to(group[0].time_range.end, HOUR)
            by_range[TimeRange(start, end)] += group
    return dict(sorted(by_range.items(), reverse=True))


def _are_close(older: OpenGap, newer: OpenGap) -> bool:
    first, second = older.time_range, newer.time_range
    return second.start - first.end <= MAX_DISTANCE and second.start.date() == first.start.date()


def _failed_gaps(gaps: Sequence[OpenGap], fetched: _Fetched) -> Iterator[tuple[OpenGap, str]]:
    """The gaps that could not be fetched, with the error."""
    done = set(fetched.gaps)
    for gap in gaps:
        if gap in done:
            continue
        if gap.pair in fetched.failed:
            yield gap, fetched.failed[gap.pair]
        elif fetched.error is not None:
            yield gap, fetched.error.reason


def _split_by_reason(
    engine: Engine, name: str, adapter: Exchange, gaps: Sequence[OpenGap], now: datetime
) -> list[_Part]:
    """The gaps in parts, each with the reason why the exchange cannot fill it if it is still missing."""
    if width_seconds("1m") not in adapter.candle_intervals:
        reason = f"{name} does not offer {'1-minute ' if adapter.candle_intervals else ''}candles"
        return [_Part(gap.instrument_id, gap.time_range, reason) for gap in gaps]
    parameters = {
        "instrument_ids": [gap.instrument_id for gap in gaps],
        "starts": [gap.time_range.start for gap in gaps],
        "ends": [gap.time_range.end for gap in gaps],
    }
    with transaction(engine) as connection:
        rows = connection.execute(statement("prices/backfill/gaps/split_by_fetched"), parameters).all()
    no_candles = f"{name} has no candles for this time (no trades, or no longer available)"
    parts = [
        _Part(row.instrument_id, TimeRange(row.started_at, row.ended_at), no_candles if row.fetched else None)
        for row in rows
    ]
    retention = adapter.candle_retention(width_seconds("1m"))
    if retention is None:
        return parts
    expired = f"{name} keeps 1-minute candles for only {round(retention / HOUR)} hours"
    kept_from = ceil_to(now - retention, MINUTE)
    return [piece for part in parts for piece in _split_at(part, kept_from, expired)]


def _split_at(part: _Part, kept_from: datetime, expired: str) -> Iterator[_Part]:
    """The part before ``kept_from``, with the reason ``expired``, and the part after it."""
    start, end = part.time_range.start, part.time_range.end
    if start < kept_from:
        yield _Part(part.instrument_id, TimeRange(start, min(end, kept_from)), expired)
    if end > kept_from:
        yield _Part(part.instrument_id, TimeRange(max(start, kept_from), end), part.reason)
