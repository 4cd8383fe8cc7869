"""Dropping old prices, a day at a time, once they are in candles and alerts have been evaluated. Candles are kept.

A day's prices are dropped in one transaction that checks, under a lock, that nothing changed since its candles were
made. A run that dies leaves complete days, and the next run continues.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import structlog
from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange, utc_day

# Each attempt blocks other users of prices for half a second at most; between attempts they can catch up.
PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)

RECENT_FETCHES = timedelta(days=7)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RetentionResult:
    """UTC days whose prices were dropped, and days that had to be kept, with the reason."""

    dropped: tuple[date, ...] = ()
    kept: Mapping[date, str] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """A sentence for each day that was kept."""
        return [f"Prices of {day} were kept: {reason}" for day, reason in self.kept.items()]


def drop_old_prices(
    engine: Engine,
    settings: Settings,
    now: datetime,
    is_pending: Callable[[TimeRange], bool],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> RetentionResult:
    """Drop the partitions of days that ended more than ``price_retention_days`` ago; none if it is 0.

    A day is kept, with the reason in the result, if a minute of it has no candle even after a refresh, if
    ``is_pending`` says that its quotes have not been evaluated, if other queries use ``prices`` without a pause, or if
    the database's own limit is higher than the setting. Safe to run at any time, concurrently, and again after an
    interruption. Raises DatabaseError.
    """
    if settings.price_retention_days == 0:
        return RetentionResult()
    limit = (now - timedelta(days=settings.price_retention_days)).astimezone(UTC).date()
    with transaction(engine) as connection:
        days = list(
            connection.execute(statement("prices/retention/select_partitions_before"), {"limit": limit}).scalars()
        )
    if days:
        refresh_candles(engine)
    dropped, kept = [], {}
    for day in days:
        outcome, reason = _drop_day(engine, day, is_pending, sleep)
        if outcome == "dropped":
            dropped.append(day)
            log.info("prices dropped", day=day.isoformat())
        elif outcome != "absent":
            kept[day] = reason
            log.warning("prices not dropped", day=day.isoformat(), error=reason)
    return RetentionResult(tuple(dropped), kept)


def merge_candle_fetches(engine: Engine, now: datetime) -> int:
    """Merge adjacent records of fetched history that are more than a week old; returns how many rows that saved."""
    with transaction(engine) as connection:
        parameters = {"requested_before": now - RECENT_FETCHES}
        return int(connection.execute(statement("prices/retention/merge_candle_fetches"), parameters).scalar_one())


def _drop_day(
    engine: Engine, day: date, is_pending: Callable[[TimeRange], bool], sleep: Callable[[float], None]
) -> tuple[str, str]:
    """The outcome for the day, and the reason if it was kept."""
    for pause in (*PAUSES_SECONDS, None):
        if minutes := _minutes_behind(engine, day):
            return "behind", f"{minutes} minutes of quotes are not in candles, even after a refresh."
        if is_pending(utc_day(day)):
            return "pending", "alerts have not been evaluated that far yet. Look at the task match_alerts."
        with transaction(engine) as connection:
            outcome = connection.execute(statement("prices/retention/drop_price_partition"), {"day": day}).scalar_one()
        if outcome == "retained":
            return outcome, (
                "the database is configured to keep them longer than COINWATCH_PRICE_RETENTION_DAYS. To apply a change "
                "of that setting, run: coinwatch migrate"
            )
        if outcome in {"dropped", "absent"}:
            return outcome, ""
        if outcome == "stale":
            refresh_candles(engine)
        elif pause is not None:
            sleep(pause)
    return "busy", "the table is in use (a long query or a backup). The next run tries again."


def _minutes_behind(engine: Engine, day: date) -> int:
    """The number of minutes of the day whose quotes are not all in candles, after one refresh."""
    whole_day = utc_day(day)
    bounds = {"start": whole_day.start, "end": whole_day.end}
    for last in (False, True):
        with transaction(engine) as connection:
            behind = connection.execute(statement("prices/retention/mark_missing_candles_stale"), bounds).all()
        if not behind or last:
            break
        log.warning("candles missing, refreshing", day=day.isoformat(), instruments=len(behind))
        refresh_candles(engine)
    return sum(row.minutes for row in behind)
