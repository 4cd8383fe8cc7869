"""Filling gaps with the exchange's own candles.

An open gap ends in one of two ways: candles fill it, or the exchange answered and has none, and then it is marked with
the reason and not asked for again. An exchange that does not answer leaves its gaps open for the next run, for a week.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import statement, transaction
from coinwatch.errors import ConfigurationError, ExchangeError
from coinwatch.exchanges.models import Exchange
from coinwatch.exchanges.registry import open_exchange
from coinwatch.prices.backfill.gaps import RangeToCheck, gap_tolerance, resolve_gaps
from coinwatch.prices.backfill.runner import backfill_range
from coinwatch.prices.candles.resolutions import width_seconds
from coinwatch.prices.candles.storage import refresh_candles
from coinwatch.settings import Settings
from coinwatch.time_range import HOUR, MINUTE, TimeRange, ceil_to, floor_to

# The exchange's own candles of the last minutes may not be there yet.
YOUNG = timedelta(minutes=15)
# Gaps of one instrument and day that lie closer than a page of candles are asked for in one stretch.
JOINED_WITHIN = timedelta(hours=5)
GIVEN_UP_AFTER = timedelta(days=7)
SECONDS_AT_MOST = 15 * 60.0  # after which no further stretch is begun; the next run goes on

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What became of one exchange's gaps: parts that were filled, parts that stay holes, calls made.

    ``failed`` says for a pair why the exchange gave no candles of it; its gaps are still open.
    """

    exchange: str
    filled: int = 0
    unavailable: int = 0
    requests: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON and so for Airflow's XCom."""
        return asdict(self)


class OpenGap(NamedTuple):
    """The part of an open gap that is old enough to be asked for."""

    instrument_id: int
    pair: str
    started_at: datetime
    ended_at: datetime
    detected_at: datetime


class Part(NamedTuple):
    """A part of a gap, and why it stays empty if it is; None where the exchange may yet fill it."""

    instrument_id: int
    started_at: datetime
    ended_at: datetime
    answer: str | None


@dataclass
class _Asked:
    """How far the asking came: gaps the exchange was asked for without trouble, and why not the others."""

    gaps: list[OpenGap] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    trouble: ExchangeError | None = None


def exchanges_with_open_gaps(engine: Engine, now: datetime) -> list[str]:
    """Codes of the enabled exchanges that have an open gap older than a few minutes, sorted."""
    with transaction(engine) as connection:
        return list(
            connection.execute(
                statement("prices/backfill/gaps/exchanges_with_open_gaps"), {"until": _until(now)}
            ).scalars()
        )


def repair_gaps(
    engine: Engine, settings: Settings, *, clock: Clock = utc_now, sleep: Callable[[float], None] = time.sleep
) -> tuple[list[RepairResult], dict[str, str]]:
    """Repair the gaps of all exchanges, one after the other: what became of them, and why some exchanges failed."""
    results, failed = [], {}
    for code in exchanges_with_open_gaps(engine, clock()):
        try:
            results.append(repair_exchange(engine, settings, code, clock=clock, sleep=sleep))
        except (ExchangeError, ConfigurationError) as error:
            log.error("gaps not repaired", exchange=code, error=str(error))
            failed[code] = error.reason if isinstance(error, ExchangeError) else str(error)
    return results, failed


def repair_exchange(
    engine: Engine,
    settings: Settings,
    code: str,
    *,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    seconds_at_most: float = SECONDS_AT_MOST,
) -> RepairResult:
    """Fill one exchange's open gaps, the newest first, and mark what stays empty.

    1. ask for the candles over the gaps, near ones in one stretch;
    2. make the coarser candles;
    3. look again: what is filled is repaired, what the exchange answered for and is still empty is unavailable.

    Raises the ExchangeError after what came before it was settled, ConfigurationError or DatabaseError.
    """
    gaps = _open_gaps(engine, code, clock())
    with closing(open_exchange(code, settings, clock)) as adapter:
        name = settings.exchanges[code].name
        asked = _Asked(gaps)
        if adapter.candle_intervals:
            asked = _ask(engine, settings, code, gaps, clock, sleep, seconds_at_most)
            refresh_candles(engine)
        answers = _answers(engine, name, adapter, asked.gaps, clock())
        allowed = gap_tolerance(settings, adapter.minimum_interval_seconds)
    given_up = [
        Part(gap.instrument_id, gap.started_at, gap.ended_at, f"not filled within a week: {name} {words}")
        for gap, words in _unanswered(gaps, asked)
        if gap.detected_at <= clock() - GIVEN_UP_AFTER
    ]
    ranges = [
        RangeToCheck(part.instrument_id, TimeRange(part.started_at, part.ended_at), allowed, part.answer)
        for part in [*answers, *given_up]
    ]
    filled, unavailable = resolve_gaps(engine, ranges, clock())
    result = RepairResult(code, filled, unavailable, asked.requests, asked.failed)
    log.info("gaps repaired", **result.as_dict())
    if asked.trouble is not None:
        raise asked.trouble
    return result


def _open_gaps(engine: Engine, code: str, now: datetime) -> list[OpenGap]:
    parameters = {"exchange": code, "until": _until(now)}
    with transaction(engine) as connection:
        return [OpenGap(*row) for row in connection.execute(statement("prices/backfill/gaps/open_of"), parameters)]


def _until(now: datetime) -> datetime:
    return floor_to(now - YOUNG, MINUTE)


def _ask(
    engine: Engine,
    settings: Settings,
    code: str,
    gaps: Sequence[OpenGap],
    clock: Clock,
    sleep: Callable[[float], None],
    seconds_at_most: float,
) -> _Asked:
    """Ask for the candles over the gaps, one stretch after the other, until the exchange or the time says stop."""
    began = time.monotonic()
    asked = _Asked()
    for (start, end), part in _requests(gaps).items():
        if time.monotonic() - began > seconds_at_most:
            log.warning("not all gaps asked for, the next run goes on", exchange=code, gaps=len(gaps) - len(asked.gaps))
            break
        try:
            fetched = backfill_range(
                engine,
                settings,
                code,
                start,
                end,
                instruments={gap.instrument_id for gap in part},
                again=True,
                clock=clock,
                sleep=sleep,
            )
        except ExchangeError as error:
            asked.trouble = error
            break
        asked.requests += fetched.requests
        asked.failed.update(fetched.failed)
        asked.gaps += [gap for gap in part if gap.pair not in fetched.failed]
    return asked


def _requests(gaps: Sequence[OpenGap]) -> dict[tuple[datetime, datetime], list[OpenGap]]:
    """The stretches to ask for with the gaps in each, the newest first.

    Whole hours, so that an outage is one stretch for all instruments; within a UTC day, as gaps are.
    """
    requests: dict[tuple[datetime, datetime], list[OpenGap]] = defaultdict(list)
    joined: dict[int, list[OpenGap]] = {}

    def close(near: list[OpenGap]) -> None:
        start, end = floor_to(near[-1].started_at, HOUR), ceil_to(near[0].ended_at, HOUR)
        requests[start, end] += near

    for gap in gaps:
        near = joined.setdefault(gap.instrument_id, [])
        last = near[-1] if near else gap
        if last.started_at - gap.ended_at > JOINED_WITHIN or last.started_at.date() != gap.started_at.date():
            close(near)
            near = joined[gap.instrument_id] = []
        near.append(gap)
    for near in joined.values():
        close(near)
    return dict(sorted(requests.items(), reverse=True))


def _unanswered(gaps: Sequence[OpenGap], asked: _Asked) -> Iterator[tuple[OpenGap, str]]:
    """Gaps the exchange gave nothing for this time, with its words."""
    done = set(asked.gaps)
    for gap in gaps:
        if gap in done:
            continue
        if gap.pair in asked.failed:
            yield gap, asked.failed[gap.pair]
        elif asked.trouble is not None:
            yield gap, asked.trouble.reason


def _answers(engine: Engine, name: str, adapter: Exchange, gaps: Sequence[OpenGap], now: datetime) -> list[Part]:
    """The gaps in parts, each with the reason why it stays a hole if it is still empty now."""
    if not adapter.candle_intervals:
        return [Part(gap.instrument_id, gap.started_at, gap.ended_at, f"{name} offers no candles") for gap in gaps]
    if width_seconds("1m") not in adapter.candle_intervals:
        sentence = f"{name} offers no candles of minutes"
        return [Part(gap.instrument_id, gap.started_at, gap.ended_at, sentence) for gap in gaps]
    none_there = f"{name} has no candles there: nobody traded, or they were not kept"
    horizon = adapter.candle_retention(width_seconds("1m"))
    parameters = {
        "instrument_ids": [gap.instrument_id for gap in gaps],
        "starts": [gap.started_at for gap in gaps],
        "ends": [gap.ended_at for gap in gaps],
    }
    with transaction(engine) as connection:
        rows = connection.execute(statement("prices/backfill/gaps/answered"), parameters).all()
    parts = [
        Part(row.instrument_id, row.started_at, row.ended_at, none_there if row.answered else None) for row in rows
    ]
    if horizon is None:
        return parts
    kept_from = ceil_to(now - horizon, MINUTE)
    gone = f"{name} keeps minutes for {round(horizon / timedelta(hours=1))} hours only"
    return [piece for part in parts for piece in _split(part, kept_from, gone)]


def _split(part: Part, kept_from: datetime, gone: str) -> Iterator[Part]:
    """A part before and after the moment up to which the exchange has dropped its candles."""
    if part.started_at < kept_from:
        yield part._replace(ended_at=min(part.ended_at, kept_from), answer=gone)
    if part.ended_at > kept_from:
        yield part._replace(started_at=max(part.started_at, kept_from))
