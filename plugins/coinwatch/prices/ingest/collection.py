"""Collecting from one exchange: fetch its quotes, load them, and record success or failure."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import statement, transaction
from coinwatch.errors import ConfigurationError, ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.models import Exchange, Instrument, QuoteBatch, RejectionReason
from coinwatch.exchanges.registry import open_exchange
from coinwatch.prices.catalog import list_watched_instruments
from coinwatch.prices.corporate_actions import Restatement
from coinwatch.prices.ingest.confirmation import hold_jumps
from coinwatch.prices.ingest.loading import LoadResult, load_quotes, log_rejections
from coinwatch.prices.ingest.trading_halts import find_trading_halts, record_trading_halts
from coinwatch.settings import Settings

RETRY_DELAY_SECONDS = 1.0
# A cycle that starts slightly early must not skip an exchange with a minimum interval every second time.
EARLY_START_TOLERANCE = timedelta(seconds=10)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CollectResult:
    """The result of one exchange in this cycle.

    ``blocked_until`` is set if the exchange was skipped because its minimum interval is not over. ``unconfirmed``
    counts price jumps that wait for confirmation.
    """

    exchange: str
    quotes: int = 0
    loaded: LoadResult = field(default_factory=LoadResult)
    fetch_seconds: float = 0.0
    blocked_until: datetime | None = None
    unconfirmed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as plain values that can be serialized as JSON, for example in Airflow's XCom."""
        values = asdict(self)
        values["loaded"]["rejected"] = {reason.value: count for reason, count in self.loaded.rejected.items()}
        values["blocked_until"] = self.blocked_until.isoformat() if self.blocked_until else None
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``as_dict``."""
        loaded = values["loaded"]
        rejected = {RejectionReason(reason): count for reason, count in loaded["rejected"].items()}
        blocked_until = values["blocked_until"]
        return cls(
            **{
                **values,
                "loaded": LoadResult(**{**loaded, "rejected": rejected}),
                "blocked_until": datetime.fromisoformat(blocked_until) if blocked_until else None,
            }
        )


def collect_exchange(
    engine: Engine,
    settings: Settings,
    code: str,
    *,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> CollectResult:
    """Fetch and load the latest quotes of one exchange.

    1. Skip it while it is rate limited (RateLimited) or its minimum interval is not over.
    2. Fetch what the exchange trades, with one immediate retry after a temporary error; history calls wait meanwhile.
    3. Load the quotes, including those received before a fetch failed; hold back price jumps until they are confirmed.
    4. Record success or failure for all workers.

    Raises the ExchangeError after it was recorded, ConfigurationError for an unknown exchange, or DatabaseError.
    """
    with transaction(engine) as connection:
        status = connection.execute(
            statement("prices/catalog/select_exchange_status"), {"exchange": code}
        ).one_or_none()
        instruments = list_watched_instruments(connection, code)
    if status is None:
        raise ConfigurationError(f"The exchange {code!r} is not in the database yet. Run: coinwatch migrate")
    if status.blocked_until and status.blocked_until > clock():
        until = f"{status.blocked_until:%Y-%m-%d %H:%M:%S} UTC"
        raise RateLimited(code, f"rate limited until {until}: {status.last_error}", status.blocked_until)

    with closing(open_exchange(code, settings)) as adapter:
        next_fetch_at = _next_fetch_at(adapter, status.last_success_at)
        if next_fetch_at and next_fetch_at > clock():
            log.info("exchange skipped", exchange=code, blocked_until=next_fetch_at.isoformat())
            return CollectResult(code, blocked_until=next_fetch_at)
        started = time.monotonic()
        try:
            with _prioritize(engine, status.id, clock() + timedelta(seconds=settings.exchanges[code].timeout_seconds)):
                halts = find_trading_halts(engine, adapter, status.id, instruments, clock())
                halted = {quote.symbol for quote in halts}
                batch = _fetch(adapter, [each for each in instruments if each.symbol not in halted], sleep)
            batch = QuoteBatch(batch.quotes, [*halts, *batch.rejected], batch.error)
            none_traded = all(quote.status for quote in batch.rejected) and batch.error is None
            if instruments and not batch.quotes and not (batch.rejected and none_traded):
                raise batch.error or _no_valid_quotes(code, [quote.reason for quote in batch.rejected])
        except ExchangeError as error:
            _record_failure(engine, status.id, error, clock())
            raise
        fetch_seconds = time.monotonic() - started

    log_rejections(batch.rejected)
    max_age = timedelta(days=settings.quote_max_age_days)
    quotes = Restatement(engine).quotes((quote, instruments[quote.instrument]) for quote in batch.quotes)
    accepted, unconfirmed = hold_jumps(engine, settings, instruments, quotes, clock())
    loaded = load_quotes(engine, instruments, accepted, now=clock(), max_age=max_age)
    rejected = Counter(quote.reason for quote in batch.rejected) + Counter(loaded.rejected)
    loaded = LoadResult(loaded.inserted, loaded.repeated, loaded.conflicting, rejected)
    result = CollectResult(code, len(batch.quotes), loaded, fetch_seconds, unconfirmed=unconfirmed)
    _log(result)
    failure = batch.error
    if failure is None and batch.quotes and not loaded.inserted + loaded.repeated + loaded.conflicting + unconfirmed:
        failure = _no_valid_quotes(code, list(rejected.elements()))
    if failure:
        _record_failure(engine, status.id, failure, clock())
        raise failure
    with transaction(engine) as connection:
        parameters = {"exchange_id": status.id, "now": clock(), "fetch_seconds": fetch_seconds}
        connection.execute(statement("prices/ingest/record_fetch_success"), parameters)
        record_trading_halts(connection, status.id, instruments, batch.rejected, clock())
    return result


@contextmanager
def _prioritize(engine: Engine, exchange_id: int, until: datetime) -> Iterator[None]:
    """Make history calls wait during the block, or until ``until`` in case this worker dies."""
    with transaction(engine) as connection:
        connection.execute(statement("prices/ingest/begin_live_fetch"), {"exchange_id": exchange_id, "until": until})
    try:
        yield
    finally:
        with transaction(engine) as connection:
            connection.execute(statement("prices/ingest/end_live_fetch"), {"exchange_id": exchange_id})


def _fetch(adapter: Exchange, instruments: list[Instrument], sleep: Callable[[float], None]) -> QuoteBatch:
    """Fetch the quotes of all instruments; after a temporary error, retry the missing ones once."""
    first = _fetch_once(adapter, instruments)
    if not isinstance(first.error, ExchangeUnavailable):
        return first
    log.warning("exchange failed, retrying", exchange=adapter.code, error=first.error.reason)
    sleep(RETRY_DELAY_SECONDS)
    answered = {quote.instrument for quote in first.quotes} | {quote.symbol for quote in first.rejected}
    missing = [item for item in instruments if item not in answered and item.symbol not in answered]
    second = _fetch_once(adapter, missing)
    return QuoteBatch([*first.quotes, *second.quotes], [*first.rejected, *second.rejected], second.error)


def _fetch_once(adapter: Exchange, instruments: list[Instrument]) -> QuoteBatch:
    try:
        return adapter.fetch_quotes(instruments)
    except ExchangeUnavailable as error:
        return QuoteBatch(error=error)


def _no_valid_quotes(code: str, rejected: Sequence[RejectionReason]) -> ExchangeUnavailable:
    reasons = ", ".join(sorted({reason.value for reason in rejected})) or "the response was empty"
    clock = (
        "; check this machine's clock"
        if {RejectionReason.FROM_THE_FUTURE, RejectionReason.TOO_OLD} & set(rejected)
        else ""
    )
    return ExchangeUnavailable(code, f"none of the {len(rejected)} prices received is valid ({reasons}{clock})")


def _next_fetch_at(adapter: Exchange, last_success_at: datetime | None) -> datetime | None:
    if not last_success_at or adapter.minimum_interval_seconds <= 0:
        return None
    return last_success_at + timedelta(seconds=adapter.minimum_interval_seconds) - EARLY_START_TOLERANCE


def _record_failure(engine: Engine, exchange_id: int, error: ExchangeError, now: datetime) -> None:
    until = error.blocked_until if isinstance(error, RateLimited) else None
    with transaction(engine) as connection:
        connection.execute(
            statement("prices/ingest/record_fetch_failure"),
            {"exchange_id": exchange_id, "now": now, "blocked_until": until, "error": error.reason},
        )


def _log(result: CollectResult) -> None:
    log.info(
        "quotes loaded",
        exchange=result.exchange,
        quotes=result.quotes,
        inserted=result.loaded.inserted,
        repeated=result.loaded.repeated,
        conflicting=result.loaded.conflicting,
        unconfirmed=result.unconfirmed,
        rejected={reason.value: count for reason, count in result.loaded.rejected.items()},
        fetch_seconds=round(result.fetch_seconds, 3),
    )
