"""Data quality checks: stale, disagreeing and frozen prices, missing volumes, and invalid candles.

Each check reads only the latest quotes or the last hours, independent of how much is stored, and returns its findings
as sentences; none means that the data is fine.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import ceil
from typing import Any

from sqlalchemy import Engine, Row

from coinwatch.database import statement, transaction
from coinwatch.exchanges.models import RawCandle
from coinwatch.exchanges.registry import open_exchange
from coinwatch.formatting import format_age, format_amount, format_duration, format_percent, format_price
from coinwatch.prices.candle_validation import CandleValidator, ValidationReport
from coinwatch.prices.ingest.collection import EARLY_START_TOLERANCE
from coinwatch.prices.ingest.index import find_excluded_prices
from coinwatch.settings import Settings
from coinwatch.time_range import HOUR, floor_to

Check = Callable[[Engine, Settings, datetime], list[str]]

# A price is frozen if it is unchanged in this many quotes while the others moved by this much.
MOVED_PERCENT = 0.1
MIN_QUOTES = 3
VOLUME_SINCE = timedelta(days=1)
CANDLES_SINCE = timedelta(days=1)


def check_stale_prices(engine: Engine, settings: Settings, now: datetime) -> list[str]:
    """Instruments whose newest price is older than ``quality_stale_cycles`` of their exchange's cycles.

    A cycle is the collection schedule, or longer if the exchange has a minimum interval. Exchanges that are disabled,
    were never fetched, or are rate limited are left out, and so are those with fewer failures in a row than
    ``quality_stale_cycles``: after a start or when a laptop wakes up, the first fetches may fail. If all instruments of
    one are stale, that is one finding.
    """
    cycle = timedelta(minutes=settings.collect_schedule_minutes)
    parameters = {
        "now": now,
        "stale_before": now - settings.quality_stale_cycles * cycle,
        "computed_before": now - cycle,
    }
    findings = []
    for exchange, rows in groupby(
        _rows(engine, "prices/ingest/data_quality/select_stale_prices", parameters), key=lambda row: str(row.exchange)
    ):
        due_every = _due_every(settings, exchange)
        stale_before = now - settings.quality_stale_cycles * due_every
        stale = [
            row
            for row in rows
            if (row.observed_at is None or row.observed_at < stale_before)
            and not _has_just_failed(row, stale_before, settings.quality_stale_cycles)
        ]
        findings += _describe_stale(exchange, stale, due_every, now)
    return findings


def collection_is_overdue(engine: Engine, settings: Settings, now: datetime) -> bool:
    """Whether an exchange has not been fetched for ``quality_stale_cycles`` of its cycles, even without success.

    So it is before the first cycle after a start, or after a suspended machine wakes up.
    """
    cycles = settings.quality_stale_cycles
    parameters = {"now": now, "before": now - cycles * timedelta(minutes=settings.collect_schedule_minutes)}
    return any(
        row.last_attempt_at < now - cycles * _due_every(settings, row.exchange)
        for row in _rows(engine, "prices/ingest/data_quality/select_last_attempts", parameters)
    )


def check_disagreement(engine: Engine, settings: Settings, now: datetime) -> list[str]:
    """Exchanges whose fresh price deviates by more than ``quality_disagreement_percent`` from the median.

    Fresh prices are those that count for the index. With only two, it is unclear which is wrong, so both are named.
    """
    freshness = timedelta(seconds=settings.index_freshness_seconds)
    parameters = {"fresh_after": now - freshness, "limit_percent": settings.quality_disagreement_percent}
    disagreeing = _rows(engine, "prices/ingest/data_quality/select_disagreeing_prices", parameters)
    excluded = {(price.exchange, price.pair) for price in find_excluded_prices(engine, freshness, now)}
    findings = []
    for _, group in groupby(disagreeing, key=lambda row: str(row.base)):
        rows = list(group)
        if rows[0].prices == 2:
            findings.append(_describe_pair(rows, excluded, now))
            continue
        findings += [
            f"{row.exchange} {row.pair}: {format_price(row.price)} is {format_percent(abs(row.percent))} "
            f"{'above' if row.percent > 0 else 'below'} the median {format_price(row.median)} of {row.prices} "
            f"exchanges (observed {_moment(row.observed_at, now)})."
            + (" It doesn't count in the index." if (row.exchange, row.pair) in excluded else "")
            for row in rows
        ]
    return findings


def check_frozen_prices(engine: Engine, settings: Settings, now: datetime) -> list[str]:
    """Prices that did not change in the last ``quality_frozen_minutes`` while those of other exchanges did.

    If the schedule is so slow that this period has fewer than three quotes, three cycles are checked.
    """
    minutes = max(settings.quality_frozen_minutes, (MIN_QUOTES + 1) * settings.collect_schedule_minutes)
    parameters = {
        "since": now - timedelta(minutes=minutes),
        "now": now,
        "min_quotes": MIN_QUOTES,
        "moved_percent": MOVED_PERCENT,
    }
    return [
        f"{row.exchange} {row.pair}: {format_price(row.price)} in all {row.quotes} quotes of the last "
        f"{format_duration(minutes * 60)} (last observed {_moment(row.last_at, now)}), "
        f"while {row.others} other{'s' if row.others > 1 else ''} moved by {format_percent(row.moved_percent)}."
        for row in _rows(engine, "prices/ingest/data_quality/select_frozen_prices", parameters)
    ]


def check_missing_volumes(engine: Engine, settings: Settings, now: datetime) -> list[str]:
    """Instruments whose 24-hour volume is zero or missing, but was not within the last day."""
    return [
        f"{row.exchange} {row.pair}: the 24 h volume is {'missing' if row.volume_24h is None else 'zero'} "
        f"(observed {_moment(row.observed_at, now)}); at {_moment(row.before_at, now)} it was "
        f"{format_amount(row.before)} {row.base}."
        for row in _rows(
            engine, "prices/ingest/data_quality/select_missing_volumes", {"since": now - VOLUME_SINCE, "now": now}
        )
    ]


def check_candles(engine: Engine, settings: Settings, now: datetime) -> list[str]:
    """Instruments whose hourly candles of the last day are invalid or have a hundredfold price jump.

    Candles from every source are checked, as they are when they are imported or fetched: one made of our own quotes has
    passed no such test before.
    """
    parameters = {"since": floor_to(now - CANDLES_SINCE, HOUR), "this_hour": floor_to(now, HOUR), "now": now}
    candles = _rows(engine, "prices/ingest/data_quality/select_recent_candles", parameters)
    findings = []
    for (exchange, pair), rows in groupby(candles, key=lambda row: (row.exchange, row.pair)):
        report = ValidationReport()
        CandleValidator("1h", now, report).validate(
            [RawCandle(row.opened_at, row.open, row.high, row.low, row.close, row.volume, row.trades) for row in rows]
        )
        for reason, count in sorted((report.rejected + report.unusual).items()):
            example = next((each for each in report.examples if each.startswith(reason)), "")
            detail = f"{count} of {report.rows}{example.removeprefix(reason).replace(':', ';', 1)}"
            findings.append(f"{exchange} {pair}: an hourly candle of the last day {reason} ({detail}).")
    return findings


CHECKS: Mapping[str, Check] = {
    "stale": check_stale_prices,
    "disagreement": check_disagreement,
    "frozen": check_frozen_prices,
    "volume": check_missing_volumes,
    "candles": check_candles,
}


def _rows(engine: Engine, name: str, parameters: Mapping[str, object]) -> Sequence[Row[Any]]:
    with transaction(engine) as connection:
        return connection.execute(statement(name), parameters).all()


def _has_just_failed(row: Row[Any], stale_before: datetime, cycles: float) -> bool:
    """The exchange is fetched again, but fails since a few cycles only."""
    return row.last_attempt_at is not None and row.last_attempt_at >= stale_before and 0 < row.failures < cycles


def _due_every(settings: Settings, exchange: str) -> timedelta:
    """The expected time between two prices of the exchange: whole cycles, given its minimum interval."""
    cycle = timedelta(minutes=settings.collect_schedule_minutes)
    if exchange not in settings.exchanges:  # the index, or an exchange that left the configuration
        return cycle
    with closing(open_exchange(exchange, settings)) as adapter:
        interval = timedelta(seconds=adapter.minimum_interval_seconds) - EARLY_START_TOLERANCE
    return cycle * max(1, ceil(interval / cycle))


def _describe_stale(exchange: str, stale: Sequence[Row[Any]], due_every: timedelta, now: datetime) -> list[str]:
    if not stale:
        return []
    due = f"one is due every {format_duration(due_every)}"
    if len(stale) == stale[0].watched:
        newest = max((row.observed_at for row in stale if row.observed_at), default=None)
        error = f" The last error was: {stale[0].last_error}" if stale[0].failures else ""
        return [f"{exchange}: no price of any of its {len(stale)} instruments {_since(newest, now)}; {due}.{error}"]
    others = "its other instruments have theirs"
    return [f"{exchange} {row.pair}: no price {_since(row.observed_at, now)}; {due}, and {others}." for row in stale]


def _since(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "so far"
    return f"since {_moment(moment, now)} ({format_age(now - moment)})"


def _describe_pair(rows: Sequence[Row[Any]], excluded: Collection[tuple[str, str]], now: datetime) -> str:
    first, second = rows
    left_out = [row.exchange for row in rows if (row.exchange, row.pair) in excluded]
    low, high = sorted((first.price, second.price))
    return (
        f"{first.exchange} {first.pair} at {format_price(first.price)} (observed {_moment(first.observed_at, now)}) "
        f"and {second.exchange} {second.pair} at {format_price(second.price)} "
        f"(observed {_moment(second.observed_at, now)}) are "
        f"{format_percent(100 * (high - low) / first.median)} apart; "
        "with only two exchanges, it is unclear which is wrong."
        + (f" Not in the index: {' and '.join(left_out)}." if left_out else "")
    )


def _moment(moment: datetime, now: datetime) -> str:
    same_day = moment.astimezone(UTC).date() == now.astimezone(UTC).date()
    return f"{moment.astimezone(UTC):{'' if same_day else '%Y-%m-%d '}%H:%M:%S} UTC"
