"""The types that every exchange's data is converted to, and the interface of an adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol

from coinwatch.errors import ExchangeError
from coinwatch.time_range import TimeRange


@dataclass(frozen=True, slots=True)
class Instrument:
    """A pair traded on an exchange: the price of one ``base`` in ``quote``.

    ``base`` and ``quote`` are coinwatch's codes (BTC, never XBT); ``symbol`` is the exchange's name for the pair.
    """

    exchange: str
    base: str
    quote: str
    symbol: str

    @property
    def pair(self) -> str:
        return f"{self.base}/{self.quote}"


@dataclass(frozen=True, slots=True)
class Quote:
    """One observed price.

    ``price``, ``bid`` and ``ask`` are in the quote currency; ``volume_24h`` is the rolling 24-hour volume in the
    *base* currency (never sum it over time). ``observed_at`` is the exchange's timestamp if it sends one, otherwise
    ``received_at``. Both are timezone-aware and in UTC.
    """

    instrument: Instrument
    price: float
    observed_at: datetime
    received_at: datetime
    volume_24h: float | None = None
    bid: float | None = None
    ask: float | None = None


class Candle(NamedTuple):
    """The prices of one instrument during an interval that starts at ``opened_at`` (timezone-aware, UTC).

    Prices are in the quote currency, ``volume`` is in the base currency. ``volume`` and ``trades``, the number of
    trades, are None if unknown.
    """

    opened_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None
    trades: int | None = None


class RawCandle(NamedTuple):
    """A candle as an exchange or a file states it, before ``prices.candle_validation`` has validated it.

    ``opened_at`` is timezone-aware. The numbers may be text or missing; ``volume`` is in the base currency,
    ``quote_volume``, where known, in the quote currency. ``line`` is the row's number in a file.
    """

    opened_at: datetime
    open: object
    high: object
    low: object
    close: object
    volume: object = None
    trades: object = None
    quote_volume: object = None
    line: int = 0


class RejectionReason(StrEnum):
    """Why a quote failed validation."""

    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    IMPLAUSIBLE = "implausible"
    MALFORMED = "malformed"
    UNKNOWN_SYMBOL = "unknown_symbol"
    FROM_THE_FUTURE = "from_the_future"
    TOO_OLD = "too_old"
    NOT_TRADING = "not_trading"


class TradingStatus(StrEnum):
    """Why an instrument has no current price although its exchange responds."""

    AUCTION = "auction"  # orders are collected, none is executed
    HALTED = "halted"
    DELISTED = "delisted"


@dataclass(frozen=True, slots=True)
class RejectedQuote:
    """A quote that failed validation. ``raw`` is the start of the exchange's raw value, for the log.

    If the instrument is not trading, ``status`` says why, and ``raw`` is the exchange's own term for it.
    """

    exchange: str
    symbol: str
    reason: RejectionReason
    raw: str
    status: TradingStatus | None = None


@dataclass(frozen=True, slots=True)
class QuoteBatch:
    """The result of fetching quotes: valid quotes and rejected ones.

    ``error`` is what stopped a fetch of several requests early: load the quotes, then handle it as if it had been
    raised. If there is nothing to load, the adapter raises it instead.
    """

    quotes: Sequence[Quote] = ()
    rejected: Sequence[RejectedQuote] = ()
    error: ExchangeError | None = None


class RateLimiter(Protocol):
    """Limits how often an adapter calls its exchange."""

    def acquire(self, not_before: datetime | None = None) -> None:
        """Wait until the next call may be made; neither it nor any later call is made before ``not_before``."""
        ...


class NoRateLimit:
    """A rate limiter that never waits."""

    def acquire(self, not_before: datetime | None = None) -> None:
        pass


NO_RATE_LIMIT = NoRateLimit()


class Exchange(Protocol):
    """The interface of an adapter.

    Its methods raise only :class:`~coinwatch.errors.ExchangeError`. Creating an adapter makes no request; it holds
    one HTTP session until ``close``.

    - ``aggregator``: its prices and volumes are computed from several exchanges.
    - ``minimum_interval_seconds``: the least time between two fetches of quotes, by all workers together (0: none).
      A cycle that comes sooner skips the exchange.
    - ``candle_intervals``: the intervals in seconds that coinwatch stores (1 minute, 1 hour, 1 day) and the exchange
      offers; empty if there are none.
    - ``candles_per_call``: how many candles one request returns at most.
    - ``history_calls_per_second``: how many requests for past candles may be made, by all workers together.
    - ``max_concurrent_calls``: how many threads may use the adapter at the same time.
    """

    code: str
    aggregator: ClassVar[bool]
    minimum_interval_seconds: float
    candle_intervals: Sequence[int]
    candles_per_call: int
    history_calls_per_second: float
    max_concurrent_calls: int

    def symbol_for(self, base: str, quote: str) -> str:
        """The exchange's name for a pair of coinwatch's codes; makes no request."""
        ...

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        """The latest quote of each instrument, in as few requests as the exchange allows.

        An instrument that the exchange does not list is rejected as ``unknown_symbol``, one that it does not trade at
        present as ``not_trading`` if the responses say so; the others are still fetched.
        """
        ...

    def fetch_trading_status(self, instruments: Sequence[Instrument]) -> Sequence[RejectedQuote]:
        """Rejections of the instruments that are not traded at present, as a request of its own.

        Makes no request if ``fetch_quotes`` rejects them.
        """
        ...

    def fetch_candles(
        self,
        instrument: Instrument,
        interval_seconds: int,
        time_range: TimeRange,
        rate_limiter: RateLimiter = NO_RATE_LIMIT,
    ) -> list[RawCandle]:
        """Complete candles that opened in ``time_range``, oldest first, without duplicates; their values not validated.

        Makes as many requests as the exchange's page size requires and calls ``rate_limiter.acquire`` before each.
        Intervals without trades are missing if the exchange leaves them out. Raises ExchangeDenied if the exchange
        does not offer the interval, UnknownSymbol if it does not list the instrument.
        """
        ...

    def candle_retention(self, interval_seconds: int) -> timedelta | None:
        """How far back the exchange keeps candles of this interval; None: all of them, or unknown. No request."""
        ...

    def close(self) -> None: ...
