"""The prices on the test server's exchanges: set by the test, or the defaults of eight coins."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tests.exchange_server.recorded import RecordedCandle, Recording

EXCHANGES = ("coinnews", "coingecko", "binance", "coinbase", "kraken", "bitstamp")
CCXT_ONLY = ("okx",)  # used by tests of the ccxt adapter; the contract of all adapters is tested with bitstamp
QUOTE_CURRENCIES = {
    exchange: "USDT" if exchange in {"binance", "okx"} else "USD" for exchange in (*EXCHANGES, *CCXT_ONLY)
}
COINS = {
    "BTC": ("bitcoin", 96_000.0),
    "ETH": ("ethereum", 3_350.0),
    "SOL": ("solana", 185.0),
    "XRP": ("ripple", 2.35),
    "ADA": ("cardano", 0.72),
    "DOGE": ("dogecoin", 0.185),
    "LTC": ("litecoin", 104.0),
    "ZEC": ("zcash", 240.0),
}


@dataclass(frozen=True)
class Listing:
    """One pair on one exchange. ``price`` may be invalid; ``at`` defaults to the current time.

    If ``at`` is text, exchanges with text timestamps send it unchanged. ``volume`` is in the base currency.
    """

    base: str
    quote: str
    price: float | str | None
    at: datetime | str | int | None = None
    volume: float = 1234.5
    bid: float | None = None
    ask: float | None = None
    term: str | None = None  # the exchange's own term, if it does not trade the pair as usual


def current_time() -> datetime:
    return datetime.now(UTC)


@dataclass
class Market:
    """All pairs of all exchanges; may be changed while the server is running."""

    clock: Callable[[], datetime] = current_time
    binance_used_weight: int = 0  # in the current minute
    mixed_candles: bool = False  # send candles twice and out of order
    _listings: dict[str, dict[tuple[str, str], Listing]] = field(default_factory=dict)
    _recordings: dict[tuple[str, str, str], Recording] = field(default_factory=dict)
    _weight_minute: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Restore the eight coins on all exchanges, and the current time."""
        with self._lock:
            self.clock = current_time
            self._recordings = {}
            self.binance_used_weight = 0
            self.mixed_candles = False
            self._listings = {
                exchange: {
                    (base, QUOTE_CURRENCIES[exchange]): Listing(base, QUOTE_CURRENCIES[exchange], price)
                    for base, (_, price) in COINS.items()
                }
                for exchange in QUOTE_CURRENCIES
            }

    def set_price(
        self,
        exchange: str,
        base: str,
        quote: str,
        price: float | str | None,
        *,
        at: datetime | str | int | None = None,
        volume: float = 1234.5,
        bid: float | None = None,
        ask: float | None = None,
    ) -> None:
        """Add or change a pair."""
        with self._lock:
            self._listings[exchange][base, quote] = Listing(base, quote, price, at, volume, bid, ask)

    def set_trading_term(self, exchange: str, base: str, quote: str, term: str | None) -> None:
        """What the exchange says about trading a pair, in its own terms, such as ``cancel_only``; None: as usual."""
        with self._lock:
            listing = self._listings[exchange][base, quote]
            self._listings[exchange][base, quote] = replace(listing, term=term)

    def delist(self, exchange: str, base: str, quote: str) -> None:
        with self._lock:
            self._listings[exchange].pop((base, quote), None)

    def record(self, exchange: str, base: str, quote: str, minutes: Iterable[RecordedCandle]) -> None:
        """Return these 1-minute candles, and longer ones rolled up from them; other pairs keep generated candles."""
        recording = Recording(minutes)
        with self._lock:
            self._listings[exchange].setdefault((base, quote), Listing(base, quote, 1.0))
            self._recordings[exchange, base, quote] = recording

    def candles(
        self, exchange: str, listing: Listing, first: int, last: int, interval: int, *, gaps: bool = False
    ) -> Sequence["RecordedCandle | GeneratedCandle"]:
        """A pair's candles that opened from ``first`` to ``last`` (Unix seconds, inclusive), oldest first."""
        with self._lock:
            recording = self._recordings.get((exchange, listing.base, listing.quote))
        if recording is not None:
            return recording.candles(first, last, interval)
        return candles(first, last, interval, gaps=gaps)

    def generate(self, exchange: str, count: int) -> list[str]:
        """List ``count`` pairs: the eight coins, then C008, C009, ...; returns their names."""
        quote = QUOTE_CURRENCIES[exchange]
        bases = [*COINS, *(f"C{number:03d}" for number in range(len(COINS), count))][:count]
        with self._lock:
            known = self._listings[exchange]
            self._listings[exchange] = {
                (base, quote): known.get((base, quote)) or Listing(base, quote, 1.0 + number)
                for number, base in enumerate(bases)
            }
        return [f"{base}/{quote}" for base in bases]

    def spend_weight(self, weight: int) -> int:
        """Count a request to Binance; returns the minute's total."""
        with self._lock:
            minute = int(self.clock().timestamp()) // 60
            if minute != self._weight_minute and self._weight_minute:
                self.binance_used_weight = 0
            self._weight_minute = minute
            self.binance_used_weight += weight
            return self.binance_used_weight

    def listings(self, exchange: str) -> list[Listing]:
        with self._lock:
            return list(self._listings[exchange].values())

    def moment(self, listing: Listing) -> datetime:
        """The listing's timestamp as a datetime, by default the current time."""
        if isinstance(listing.at, datetime):
            return listing.at
        if isinstance(listing.at, int):
            return datetime.fromtimestamp(listing.at, UTC)
        return self.clock()


def coingecko_id(base: str) -> str:
    return COINS[base][0] if base in COINS else base.lower()


@dataclass(frozen=True)
class GeneratedCandle:
    """A candle computed from its opening time, so that tests know the expected values."""

    opened_at: int

    @property
    def open(self) -> float:
        return 100.0 + self.opened_at // 60 % 50

    @property
    def close(self) -> float:
        return self.open + 0.5

    @property
    def high(self) -> float:
        return self.open + 1.0

    @property
    def low(self) -> float:
        return self.open - 1.0

    @property
    def volume(self) -> float:
        return 10.0 + self.opened_at // 60 % 7


def candles(first: int, last: int, interval: int, *, gaps: bool = False) -> list[GeneratedCandle]:
    """Candles that opened from ``first`` to ``last`` (Unix seconds, inclusive), oldest first.

    With ``gaps``, some intervals have no trades and are missing.
    """
    start = -(-first // interval) * interval
    opened = range(start, last + 1, interval)
    return [GeneratedCandle(at) for at in opened if not (gaps and at // interval % 7 == 3)]
