"""Backfill: fetch past candles from the exchanges and store them.

The table ``candle_fetches`` records what was fetched, so any time range may be backfilled any number of times, in any
order, with the same result. Minutes are fetched first; where the exchange does not have them (anymore) hours, then
days. What it does not have at all is recorded as unavailable and not requested again. Each page of candles is stored
and recorded before the next one, so an interrupted backfill continues where it stopped.
"""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import transaction
from coinwatch.errors import ConfigurationError, ExchangeDenied, ExchangeUnavailable, InvalidRequest
from coinwatch.exchanges.registry import open_exchange
from coinwatch.formatting import format_timestamp
from coinwatch.prices.backfill.fetching import CandleFetcher
from coinwatch.prices.backfill.rate_limiter import HistoryRateLimiter
from coinwatch.prices.backfill.run import BackfillRun, Progress
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.prices.candles.storage import StoreResult
from coinwatch.prices.catalog import find_exchange_id, list_enabled_exchanges, list_watched_instruments
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """The result of a backfill.

    ``requests`` is the number of calls to the exchange, ``unavailable`` the number of ranges newly recorded as
    unavailable. ``failed`` maps the pairs that are incomplete to the reason; ``retryable``: trying again may help.
    ``rejected``, ``repaired`` and ``unusual`` count candles by reason, as in ``ValidationReport``.
    """

    stored: StoreResult = field(default_factory=StoreResult)
    requests: int = 0
    unavailable: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    retryable: bool = False
    rejected: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    unusual: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, and so for Airflow's XCom."""
        return asdict(self)

    def raise_for_failed(self, code: str) -> None:
        """If pairs failed, raise ExchangeUnavailable (when retryable) or ExchangeDenied with one line for each."""
        if self.failed:
            lines = [f"{pair}: {reason}" for pair, reason in sorted(self.failed.items())]
            error = ExchangeUnavailable if self.retryable else ExchangeDenied
            raise error(code, "some candles could not be fetched:\n  " + "\n  ".join(lines))


def backfill_range(
    engine: Engine,
    settings: Settings,
    code: str,
    start: datetime,
    end: datetime,
    *,
    instruments: Collection[int] | None = None,
    again: bool = False,
    finest: Resolution = "1m",
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    progress: Callable[[Progress], None] | None = None,
) -> BackfillResult:
    """Fetch and store one exchange's complete candles that opened in [start, end).

    ``start`` and ``end`` must be timezone-aware. ``instruments`` are ids; None means all watched ones. With ``again``,
    candles that are stored are fetched again, in case the exchange corrected them. ``finest`` is the resolution to
    begin with; coarser candles are fetched where the exchange doesn't have those. The newest come first. Hours and
    days that overlap the ends of the range are fetched in full; those to roll up from new candles are made by the next
    ``refresh_candles``.
    ``progress`` is called in this thread after each request.

    An instrument that fails is in the result's ``failed``. Raises RateLimited, ExchangeDenied or ExchangeUnavailable if
    the exchange as a whole does not respond (what was fetched before is stored), InvalidRequest, ConfigurationError
    or DatabaseError.
    """
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidRequest(name, f"{name} has no time zone; write it as in 2026-01-31T12:00:00Z.")
    if start >= end:
        raise InvalidRequest(
            "start", f"start is {format_timestamp(start)}; it must be before the end, {format_timestamp(end)}."
        )
    with transaction(engine) as connection:
        number = find_exchange_id(connection, code)
        watched = {
            instrument_id: instrument
            for instrument, instrument_id in list_watched_instruments(connection, code).items()
        }
    if number is None:
        raise ConfigurationError(f"Exchange {code!r} is not in the database. Run: coinwatch migrate")
    chosen = set(watched if instruments is None else instruments)
    with closing(open_exchange(code, settings, clock)) as adapter:
        if not adapter.candle_intervals:
            raise ExchangeDenied(code, "does not offer candles of 1 minute, 1 hour or 1 day")
        rate_limiter = HistoryRateLimiter(engine, code, number, adapter.history_calls_per_second, clock, sleep)
        known = {instrument_id: instrument for instrument_id, instrument in watched.items() if instrument_id in chosen}
        fetcher = CandleFetcher(adapter, rate_limiter, known, sleep)
        run = BackfillRun(engine, adapter, fetcher, known, again, clock, progress, finest)
        run.run(TimeRange(start.astimezone(UTC), end.astimezone(UTC)))
    not_watched = {f"instrument {unknown}": f"not watched on {code}" for unknown in sorted(chosen - watched.keys())}
    result = BackfillResult(
        run.stored,
        rate_limiter.calls,
        run.unavailable,
        not_watched | run.failed,
        run.retryable,
        dict(run.validation.rejected),
        dict(run.validation.repaired),
        dict(run.validation.unusual),
    )
    log.info(
        "candles fetched",
        exchange=code,
        start=start.isoformat(),
        end=end.isoformat(),
        **asdict(result.stored),
        **{name: value for name, value in result.as_dict().items() if name != "stored"},
    )
    return result


def exchanges_with_candles(engine: Engine, settings: Settings) -> list[str]:
    """Codes of the enabled exchanges that offer candles coinwatch can store, sorted; makes no request."""
    codes = []
    for code in list_enabled_exchanges(engine):
        with closing(open_exchange(code, settings)) as adapter:
            if adapter.candle_intervals:
                codes.append(code)
    return codes
