"""Candles of the past, asked of the exchanges: any stretch, any number of times, in any order, the same tables.

What an exchange has answered is remembered in ``candle_fetches``. Minutes are asked for first; where the exchange has
none (any more) hours, and where it has no hours days. What it has nothing of is ``unavailable`` and never asked for
again. A piece of work is one call: what was fetched is stored and remembered before the next, so that work that is
interrupted goes on where it was.
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
from coinwatch.prices.backfill.planning import InstrumentRange
from coinwatch.prices.backfill.rate_limiter import HistoryRateLimiter
from coinwatch.prices.backfill.run import BackfillRun, Progress
from coinwatch.prices.candles.storage import StoreResult
from coinwatch.prices.catalog import enabled_exchanges, exchange_id, watched_instruments
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What became of the candles fetched, by how many calls; ``unavailable`` stretches were found to be missing at the
    exchange for good. ``failed`` says for a pair why it is not complete, ``passing`` that this may mend itself."""

    stored: StoreResult = field(default_factory=StoreResult)
    requests: int = 0
    unavailable: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    passing: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON and so for Airflow's XCom."""
        return asdict(self)

    def raise_for_failed(self, code: str) -> None:
        """If a pair failed, an error with a line for each: ExchangeUnavailable where trying again may help, else ExchangeDenied."""
        if self.failed:
            lines = [f"{pair}: {reason}" for pair, reason in sorted(self.failed.items())]
            error = ExchangeUnavailable if self.passing else ExchangeDenied
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
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    progress: Callable[[Progress], None] | None = None,
) -> BackfillResult:
    """Fetch and store one exchange's candles opened in [start, end) (aware), of all watched instruments or of those.

    Only what is over is fetched. With ``again`` also what was stored before is asked for, in case the exchange
    corrected it. Coarser candles reach to the ends of their hour or day. The candles over the new ones are made by the
    next ``refresh_candles``. ``progress`` is called in this thread after each call to the exchange.

    An instrument that fails is named in the result. Raises RateLimited, ExchangeDenied or ExchangeUnavailable where the exchange as a
    whole does not answer (what came before is stored), InvalidRequest, ConfigurationError or DatabaseError.
    """
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidRequest(name, f"{name} needs a time zone, for example 2026-01-31T12:00:00Z.")
    if start >= end:
        raise InvalidRequest("start", f"The start {start} has to lie before the end {end}.")
    with transaction(engine) as connection:
        number = exchange_id(connection, code)
        watched = {found: instrument for instrument, found in watched_instruments(connection, code).items()}
    if number is None:
        raise ConfigurationError(f"The exchange {code!r} is not in the tables yet. Run: coinwatch migrate")
    chosen = set(watched if instruments is None else instruments)
    failed = {f"instrument {unknown}": f"is not watched at {code}" for unknown in sorted(chosen - watched.keys())}
    with closing(open_exchange(code, settings, clock)) as adapter:
        if not adapter.candle_intervals:
            raise ExchangeDenied(code, "has no candles of a minute, an hour or a day")
        gate = HistoryRateLimiter(engine, code, number, adapter.history_calls_per_second, clock, sleep)
        known = {found: instrument for found, instrument in watched.items() if found in chosen}
        run = BackfillRun(engine, adapter, gate, known, again, clock, sleep, progress, failed)
        wanted = [
            InstrumentRange(instrument_id, TimeRange(start.astimezone(UTC), end.astimezone(UTC)))
            for instrument_id in known
        ]
        run.skip_unlisted(wanted)
        for resolution in run.offered:
            wanted = run.fetch(resolution, wanted) if wanted else []
    if run.trouble and not run.answered:
        raise run.trouble
    result = BackfillResult(run.stored, gate.calls, run.unavailable, run.failed, run.passing)
    log.info("candles fetched", exchange=code, start=start.isoformat(), end=end.isoformat(), **_figures(result))
    return result


def exchanges_with_candles(engine: Engine, settings: Settings) -> list[str]:
    """Codes of the enabled exchanges whose candles fit ours, sorted."""
    found = []
    for code in enabled_exchanges(engine):
        with closing(open_exchange(code, settings)) as adapter:
            if adapter.candle_intervals:
                found.append(code)
    return found


def _figures(result: BackfillResult) -> dict[str, object]:
    figures = {name: value for name, value in result.as_dict().items() if name != "stored"}
    return {**asdict(result.stored), **figures}
