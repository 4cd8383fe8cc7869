"""The prices that the test server's exchanges show: set by the test, otherwise made up from the pair's name."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.exchange_server.recorded import RecordedCandle, Recording

VENUES = ("coinnews", "coingecko", "binance", "coinbase", "kraken", "bitstamp")
QUOTES = {venue: "USDT" if venue == "binance" else "USD" for venue in VENUES}
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
    """One pair on one exchange. ``price`` may be anything, also nonsense; ``at`` is now unless it is set.

    ``at`` as a text is sent as it is where the exchange sends texts. ``volume`` is in the base currency.
    """

    base: str
    quote: str
    price: float | str | None
    at: datetime | str | int | None = None
    volume: float = 1234.5
    bid: float | None = None
    ask: float | None = None


@dataclass
class Market:
    """All pairs of all exchanges; safe to change while the server answers."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    binance_used_weight: int = 0  # in the minute under way
    mixed_candles: bool = False  # send candles twice and in a senseless order
    _listings: dict[str, dict[tuple[str, str], Listing]] = field(default_factory=dict)
    _recordings: dict[tuple[str, str, str], Recording] = field(default_factory=dict)
    _weight_minute: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to the eight coins everywhere."""
        with self._lock:
            self._recordings = {}
            self.binance_used_weight = 0
            self.mixed_candles = False
            self._listings = {
                venue: {
                    (base, QUOTES[venue]): Listing(base, QUOTES[venue], price) for base, (_, price) in COINS.items()
                }
                for venue in VENUES
            }

    def set_price(
        self,
        venue: str,
        base: str,
        quote: str,
        price: float | str | None,
        *,
        at: datetime | str | int | None = None,
        volume: float = 1234.5,
        bid: float | None = None,
        ask: float | None = None,
    ) -> None:
        """List a pair, or change it."""
        with self._lock:
            self._listings[venue][base, quote] = Listing(base, quote, price, at, volume, bid, ask)

    def delist(self, venue: str, base: str, quote: str) -> None:
        with self._lock:
            self._listings[venue].pop((base, quote), None)

    def record(self, venue: str, base: str, quote: str, minutes: Iterable[RecordedCandle]) -> None:
        """Show these minutes, and longer candles made of them, as the venue's; other pairs keep their made-up ones."""
        recording = Recording(minutes)
        with self._lock:
            self._listings[venue].setdefault((base, quote), Listing(base, quote, 1.0))
            self._recordings[venue, base, quote] = recording

    def candles(
        self, venue: str, listing: Listing, first: int, last: int, interval: int, *, gaps: bool = False
    ) -> Sequence["RecordedCandle | MadeCandle"]:
        """A pair's candles opened from ``first`` to ``last`` (Unix seconds, both included), oldest first."""
        with self._lock:
            recording = self._recordings.get((venue, listing.base, listing.quote))
        if recording is not None:
            return recording.candles(first, last, interval)
        return candles(first, last, interval, gaps=gaps)

    def generate(self, venue: str, count: int) -> list[str]:
        """List ``count`` pairs in all, the eight coins and C008, C009, …; the pairs' names come back."""
        quote = QUOTES[venue]
        bases = [*COINS, *(f"C{number:03d}" for number in range(len(COINS), count))][:count]
        with self._lock:
            known = self._listings[venue]
            self._listings[venue] = {
                (base, quote): known.get((base, quote)) or Listing(base, quote, 1.0 + number)
                for number, base in enumerate(bases)
            }
        return [f"{base}/{quote}" for base in bases]

    def spend_weight(self, weight: int) -> int:
        """Count a request to Binance; the minute's total comes back."""
        with self._lock:
            minute = int(self.clock().timestamp()) // 60
            if minute != self._weight_minute and self._weight_minute:
                self.binance_used_weight = 0
            self._weight_minute = minute
            self.binance_used_weight += weight
            return self.binance_used_weight

    def listings(self, venue: str) -> list[Listing]:
        with self._lock:
            return list(self._listings[venue].values())

    def moment(self, listing: Listing) -> datetime:
        """The listing's time as a datetime; now where the test set none."""
        if isinstance(listing.at, datetime):
            return listing.at
        if isinstance(listing.at, int):
            return datetime.fromtimestamp(listing.at, UTC)
        return self.clock()


def coingecko_id(base: str) -> str:
    return COINS[base][0] if base in COINS else base.lower()


@dataclass(frozen=True)
class MadeCandle:
    """A made-up candle that depends on its time alone, so that a test knows what must come out."""

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


def candles(first: int, last: int, interval: int, *, gaps: bool = False) -> list[MadeCandle]:
    """Those opened from ``first`` to ``last`` (Unix seconds, both included), oldest first; with ``gaps`` some
    intervals had no trades and are missing."""
    start = -(-first // interval) * interval
    opened = range(start, last + 1, interval)
    return [MadeCandle(at) for at in opened if not (gaps and at // interval % 7 == 3)]
