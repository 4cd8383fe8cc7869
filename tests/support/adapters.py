"""What the adapters' tests share: the time, fixture types, and the request that returns an exchange's quotes."""

from collections.abc import Callable
from datetime import UTC, datetime

from coinwatch.exchanges.models import Exchange, Instrument

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
# The part of the path that identifies the request for quotes.
QUOTE_PATH = {
    "coinnews": "/api/data/BTC",
    "coingecko": "/simple/price",
    "binance": "/ticker/24hr",
    "coinbase": "/ticker",
    "kraken": "/Ticker",
    "bitstamp": "/ticker",
}

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]


class RecordingRateLimiter:
    """A rate limiter that never waits; ``calls`` has the ``not_before`` of each call."""

    def __init__(self) -> None:
        self.calls: list[datetime | None] = []

    def acquire(self, not_before: datetime | None = None) -> None:
        self.calls.append(not_before)
