"""What the adapters over our own client have in common."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import ClassVar, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from coinwatch.clock import Clock, utc_now
from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.http_client import Client
from coinwatch.exchanges.models import Candle, Instrument, Quote, QuoteBatch, RejectedQuote
from coinwatch.exchanges.validation import validate_candle
from coinwatch.settings import ExchangeSettings, Settings

THREADS = 4
FAILURES_AT_MOST = 3  # after so many failed calls the rest of the instruments is not asked for either

log = structlog.get_logger(__name__)


class Wire(BaseModel):
    """A payload as the exchange sends it, with its own field names; unknown fields are left out.

    Numbers stay ``object`` here: what counts as one is decided in :mod:`coinwatch.exchanges.validation` alone.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


Payload = TypeVar("Payload", bound=Wire)


class Adapter:
    """One exchange; a subclass adds its address, its calls and its wire structs."""

    base_url: ClassVar[str]
    default_minimum_interval_seconds: ClassVar[float] = 0.0
    candle_intervals: Sequence[int] = ()
    candles_per_call: int = 1
    # Half of what the exchange allows: the other half is for live collection, which goes first.
    default_history_calls_per_second: ClassVar[float] = 1.0
    max_concurrent_calls: int = THREADS

    def __init__(self, code: str, exchange: ExchangeSettings, settings: Settings, clock: Clock = utc_now) -> None:
        self.code = code
        self.minimum_interval_seconds = (
            self.default_minimum_interval_seconds
            if exchange.minimum_interval_seconds is None
            else exchange.minimum_interval_seconds
        )
        self.history_calls_per_second = exchange.history_calls_per_second or self.default_history_calls_per_second
        self.before_history_call: Callable[[datetime | None], None] = no_wait
        self._settings = settings
        self._clock = clock
        key = exchange.api_key.get_secret_value() if exchange.api_key else ""
        base_url = exchange.base_url or self.base_url
        headers = self.key_headers(key, base_url)
        self.client = Client(code, base_url, exchange.timeout_seconds, headers=headers, secrets=[key], clock=clock)

    def key_headers(self, key: str, base_url: str) -> Mapping[str, str]:
        """Headers that carry the API key; none by default, public market data needs no key."""
        return {}

    def instrument(self, base: str, quote: str, symbol: str) -> Instrument:
        return Instrument(self.code, base, quote, symbol)

    def parse(self, kind: type[Payload], data: object, path: str) -> Payload:
        """The whole answer of ``path`` as ``kind``; ExchangeUnavailable when it has another shape."""
        try:
            return kind.model_validate(data)
        except ValidationError:
            raise self.nonsense(path) from None

    def rows(self, data: object, path: str) -> list[object]:
        """The answer as a list; ExchangeUnavailable when it is none."""
        if not isinstance(data, list):
            raise self.nonsense(path)
        return data

    def table(self, data: object, path: str) -> dict[str, object]:
        """The answer as a JSON object; ExchangeUnavailable when it is none."""
        if not isinstance(data, dict):
            raise self.nonsense(path)
        return data

    def nonsense(self, path: str) -> ExchangeUnavailable:
        return ExchangeUnavailable(self.code, f"{path} answered JSON of another shape than its documentation says")

    def interval(self, known: Mapping[int, object], interval_seconds: int) -> None:
        """ExchangeDenied unless the exchange has candles of that length."""
        if interval_seconds not in known:
            offered = ", ".join(str(seconds) for seconds in known)
            raise ExchangeDenied(self.code, f"has no candles of {interval_seconds} s, only of {offered} s")

    def candle_retention(self, interval_seconds: int) -> timedelta | None:
        return None

    def close(self) -> None:
        self.client.close()


def no_wait(blocked_until: datetime | None) -> None:
    """What stands before a call for history where nobody else asks the exchange."""


def try_parse(kind: type[Payload], row: object) -> Payload | None:
    """One row of many as ``kind``, or None: a broken row never costs the others."""
    try:
        return kind.model_validate(row)
    except ValidationError:
        return None


def batch(results: Iterable[Quote | RejectedQuote | None], trouble: ExchangeError | None = None) -> QuoteBatch:
    """Results sorted into a QuoteBatch; ``trouble`` is raised when there is nothing else."""
    quotes: list[Quote] = []
    rejected: list[RejectedQuote] = []
    for result in results:
        if isinstance(result, Quote):
            quotes.append(result)
        elif result is not None:
            rejected.append(result)
    if trouble is not None and not quotes and not rejected:
        raise trouble
    return QuoteBatch(quotes, rejected, trouble)


def one_by_one(
    instruments: Sequence[Instrument],
    fetch: Callable[[Instrument], Quote | RejectedQuote],
    threads: int = THREADS,
) -> QuoteBatch:
    """A call per instrument, some at a time, for exchanges that offer no better.

    A pause or a rejection stops the rest at once, other failures after the third.
    """
    troubles: list[ExchangeError] = []

    def attempt(instrument: Instrument) -> Quote | RejectedQuote | None:
        if len(troubles) >= FAILURES_AT_MOST or any(
            not isinstance(trouble, ExchangeUnavailable) for trouble in troubles
        ):
            return None
        try:
            return fetch(instrument)
        except ExchangeError as error:
            troubles.append(error)
            return None

    with ThreadPoolExecutor(max(1, min(threads, len(instruments)))) as pool:
        results = list(pool.map(attempt, instruments))
    return batch(results, _gravest(troubles))


def _gravest(troubles: Sequence[ExchangeError]) -> ExchangeError | None:
    """A wish for a pause must be passed on before all others, a rejection before passing trouble."""
    for kind in (RateLimited, ExchangeDenied, ExchangeUnavailable):
        for trouble in troubles:
            if isinstance(trouble, kind):
                return trouble
    return None


class Pace:
    """At most ``burst`` calls at once and ``per_second`` over time, for all threads of one adapter."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds_per_call = 1 / per_second
        self._burst = burst
        self._monotonic = monotonic
        self._sleep = sleep
        self._free_at = -math.inf  # when the next call could be made if no burst were allowed
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next call may be made."""
        with self._lock:
            now = self._monotonic()
            self._free_at = max(self._free_at, now - self._burst * self._seconds_per_call) + self._seconds_per_call
            pause = self._free_at - now
        if pause > 0:
            self._sleep(pause)


def complete_candles(
    candles: Iterable[Candle | None], interval_seconds: int, start: datetime, end: datetime, now: datetime
) -> list[Candle]:
    """Those that lie in [start, end) and are over by ``now``, oldest first, each once; None are dropped."""
    interval = timedelta(seconds=interval_seconds)
    wanted = {
        candle.opened_at: candle
        for candle in candles
        if candle is not None and start <= candle.opened_at < end and candle.opened_at + interval <= now
    }
    return [wanted[opened_at] for opened_at in sorted(wanted)]


def candle_or_none(
    instrument: Instrument,
    opened_at: Callable[[], datetime],
    prices: Sequence[object],
    volume: object = None,
    trades: object = None,
) -> Candle | None:
    """A checked candle from [open, high, low, close]; None, with a line in the log, when it makes no sense."""
    try:
        candle = validate_candle(opened_at(), prices, volume, trades)
    except ValueError as error:
        log.warning(
            "candle rejected",
            exchange=instrument.exchange,
            symbol=instrument.symbol,
            reason=str(error),
            raw=repr(prices)[:120],
        )
        return None
    return candle
