"""Recent histories of all coins, kept for a minute: hundreds of requests a minute read them once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Engine

from coinwatch.prices.history.markets import WINDOWS, MarketPrice, read_recent_histories
from coinwatch.time_range import MINUTE
from coinwatch.web.overview.sparklines import sparkline_path

MAX_AGE = MINUTE


@dataclass(frozen=True, slots=True)
class CoinHistory:
    """A market's price at the start of each of WINDOWS by name, None if unknown, and the path of its sparkline.

    The prices of an index can be compared with those that have this ``divisor``.
    """

    references: Mapping[str, float | None]
    sparkline: str
    divisor: float = 1.0


NO_HISTORY = CoinHistory(dict.fromkeys(WINDOWS), "")


class RecentHistories:
    """The last week of each main market, as of at most ``max_age`` ago.

    While one thread reads a newer version, the others use the previous one.
    """

    def __init__(self, max_age: timedelta = MAX_AGE) -> None:
        self._max_age = max_age
        self._reading = Lock()
        self._read_at: datetime | None = None
        self._known: Mapping[int, CoinHistory] = {}

    def get(self, engine: Engine, markets: Sequence[MarketPrice], now: datetime) -> Mapping[int, CoinHistory]:
        """The histories of the markets, by the id of their instrument. Raises DatabaseError."""
        if self._is_current(markets, now):
            return self._known
        first = self._read_at is None
        if not self._reading.acquire(blocking=first):
            return self._known
        try:
            if not self._is_current(markets, now):
                read = read_recent_histories(engine, markets, now)
                self._known = {
                    market.instrument_id: CoinHistory(found.references, sparkline_path(found.closes), market.divisor)
                    for market in markets
                    if (found := read.get(market.instrument_id))
                }
                self._read_at = now
            return self._known
        finally:
            self._reading.release()

    def clear(self) -> None:
        """Forget what was read."""
        self._read_at = None

    def _is_current(self, markets: Sequence[MarketPrice], now: datetime) -> bool:
        return (
            self._read_at is not None
            and abs(now - self._read_at) < self._max_age
            and all(market.instrument_id in self._known for market in markets)
        )
