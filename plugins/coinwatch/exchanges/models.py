"""What every exchange is translated to: instruments, quotes, candles, and the interface an adapter fulfils."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from coinwatch.errors import ExchangeError


@dataclass(frozen=True, slots=True)
class Instrument:
    """Something an exchange prices: one ``base`` costs so many ``quote``.

    ``base`` and ``quote`` are our codes (BTC, never XBT); ``symbol`` is the exchange's own name for the pair.
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

    ``price``, ``bid`` and ``ask`` are in the quote currency; ``volume_24h`` is the rolling 24 h volume in the
    *base* currency (never to be summed over time). ``observed_at`` is the exchange's own time where it gives
    one, otherwise equal to ``received_at``. Both are aware and UTC.
    """

    instrument: Instrument
    price: float
    observed_at: datetime
    received_at: datetime
    volume_24h: float | None = None
    bid: float | None = None
    ask: float | None = None


class Candle(NamedTuple):
    """The prices of one instrument during an interval that starts at ``opened_at`` (aware, UTC).

    Prices are in the quote currency, ``volume`` is in the base currency. ``volume`` and ``trades``, the number of
    trades, are None where unknown.
    """

    opened_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None
    trades: int | None = None


class RejectionReason(StrEnum):
    """Why a quote did not enter."""

    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    IMPLAUSIBLE = "implausible"
    MALFORMED = "malformed"
    UNKNOWN_SYMBOL = "unknown_symbol"
    FROM_THE_FUTURE = "from_the_future"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True)
class RejectedQuote:
    """A quote that did not enter, with the exchange's raw value (shortened) for the log."""

    exchange: str
    symbol: str
    reason: RejectionReason
    raw: str


@dataclass(frozen=True, slots=True)
class QuoteBatch:
    """What one fetch brought: quotes fit to load and those that are not, with the reason.

    ``error`` is what cut a fetch of several calls short: load the quotes first, then treat it as if it had
    been raised. Where nothing came at all it is raised instead.
    """

    quotes: Sequence[Quote] = ()
    rejected: Sequence[RejectedQuote] = ()
    error: ExchangeError | None = None


class Exchange(Protocol):
    """What an adapter offers. Every call may raise ExchangeUnavailable, RateLimited or ExchangeDenied and nothing else.

    Adapters are cheap to construct (no network) and hold one HTTP session; ``close`` gives it back.
    ``minimum_interval_seconds`` is how far apart two fetches of all workers together have to be (0: any);
    a cycle that comes sooner leaves the exchange out, which is no error.

    ``candle_intervals`` are the lengths in seconds of the candles that history is kept in (a minute, an hour, a day)
    and that the exchange has; empty where its candles fit none. ``candles_per_call`` is the size of a page,
    ``history_calls_per_second`` what fetching history may use of the exchange's limit, ``max_concurrent_calls`` how many
    threads may share the adapter. ``before_history_call`` is called before every request that ``fetch_candles``
    makes and may wait; the moment given is one before which the exchange should not be asked for more (None: any).
    """

    code: str
    minimum_interval_seconds: float
    candle_intervals: Sequence[int]
    candles_per_call: int
    history_calls_per_second: float
    max_concurrent_calls: int
    before_history_call: Callable[[datetime | None], None]

    def symbol_for(self, base: str, quote: str) -> str:
        """The exchange's own name for a pair of our codes, without asking it."""
        ...

    def list_instruments(self) -> list[Instrument]:
        """Every instrument the exchange prices now, in our codes."""
        ...

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        """The latest quote of each instrument, in as few calls as the venue allows.

        An instrument the exchange does not know is rejected as ``unknown_symbol``; it never costs the others.
        """
        ...

    def fetch_candles(
        self, instrument: Instrument, interval_seconds: int, start: datetime, end: datetime
    ) -> list[Candle]:
        """Complete candles with ``start <= opened_at < end``, oldest first, each once.

        Pages as the venue's limits demand. Intervals without trades are left out where the venue leaves them
        out. An exchange without candles raises ExchangeDenied, one that does not know the symbol UnknownSymbol.
        """
        ...

    def candle_retention(self, interval_seconds: int) -> timedelta | None:
        """How far back the exchange keeps candles of that length, without asking it; None: all, or nobody knows."""
        ...

    def close(self) -> None: ...
