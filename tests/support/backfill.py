"""Backfilling from the exchange server: a fake clock, recorded minutes, and what the tables contain."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.backfill.runner import BackfillResult
from coinwatch.prices.candles.storage import Source, StoredCandle, store_candles
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTE_CURRENCIES
from tests.exchange_server.recorded import RecordedCandle

NOW = datetime(2026, 3, 2, 18, 0, 30, tzinfo=UTC)
DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
EXCHANGE_CODES = ("binance", "coinbase", "kraken", "coinnews", "coingecko")


class FakeTime:
    """A clock that only ``sleep`` advances; ``on_sleep`` is called once, after the next sleep."""

    def __init__(self, now: datetime = NOW) -> None:
        self.start = self.now = now
        self.on_sleep: Callable[[], None] | None = None

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        callback, self.on_sleep = self.on_sleep, None
        if callback:
            callback()

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return (self.now - self.start).total_seconds()


Backfill = Callable[..., BackfillResult]


def march(text: str) -> datetime:
    """The UTC time of ``02 11:30`` in March 2026."""
    return datetime.strptime(f"2026-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def generate_minutes(first: datetime, count: int, missing: frozenset[int] = frozenset()) -> list[RecordedCandle]:
    """1-minute candles of a random walk whose sums are exact, without those whose number is in ``missing``."""
    random, price, found = Random(7), 1000.0, []
    for number in range(count):
        opening, price = price, price + random.randint(-8, 8) / 4
        high, low = max(opening, price) + random.randint(0, 4) / 4, min(opening, price) - random.randint(0, 4) / 4
        if number not in missing:
            opened = int(first.timestamp()) + 60 * number
            found.append(RecordedCandle(opened, opening, high, low, price, random.randint(1, 80) / 8))
    return found


def record(exchange_server: ExchangeServer, code: str, rows: list[RecordedCandle], base: str = "BTC") -> None:
    """Make an exchange return these 1-minute candles."""
    exchange_server.market.record(code, base, QUOTE_CURRENCIES[code], rows)


def store_minutes(
    engine: sa.Engine, instrument_id: int, first: str, last: str, every: int = 3, source: Source = "exchange"
) -> None:
    """Store a candle every few minutes from ``first`` on, and one at ``last``."""
    moments = [march(first)]
    while moments[-1] < march(last):
        moments.append(min(moments[-1] + timedelta(minutes=every), march(last)))
    rows = [StoredCandle(instrument_id, Candle(moment, 1, 1, 1, 1), source=source) for moment in moments]
    store_candles(engine, "1m", rows)


def instrument_id(engine: sa.Engine, code: str, base: str = "BTC") -> int:
    query = (
        "SELECT i.id FROM instruments i JOIN exchanges e ON e.id = exchange_id WHERE e.code = :code AND base = :base"
    )
    with transaction(engine) as connection:
        return int(connection.execute(sa.text(query), {"code": code, "base": base}).scalar_one())


def candles(engine: sa.Engine, resolution: str, code: str, base: str = "BTC") -> list[Any]:
    """The stored candles of one instrument, oldest first."""
    query = (
        "SELECT c.* FROM candles c JOIN instruments i ON i.id = c.instrument_id JOIN exchanges e ON e.id = exchange_id"
        " WHERE e.code = :code AND base = :base AND resolution = CAST(:resolution AS candle_resolution)"
        " ORDER BY opened_at"
    )
    with transaction(engine) as connection:
        return list(connection.execute(sa.text(query), {"code": code, "base": base, "resolution": resolution}))


def all_candles(engine: sa.Engine) -> list[str]:
    """All stored candles as text, exact to the last bit."""
    query = "SELECT CAST(c AS text) FROM candles c ORDER BY resolution, instrument_id, opened_at"
    with transaction(engine) as connection:
        return list(connection.execute(sa.text(query)).scalars())


def fetches(engine: sa.Engine, code: str, base: str = "BTC") -> list[tuple[str, datetime, datetime, str, int]]:
    """The rows of ``candle_fetches`` of one instrument."""
    query = (
        "SELECT resolution::text, started_at, ended_at, outcome, candles FROM candle_fetches"
        " WHERE instrument_id = :id ORDER BY resolution, started_at"
    )
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), {"id": instrument_id(engine, code, base)})]


def gap_rows(engine: sa.Engine, instrument_id: int) -> list[tuple[str, str, str]]:
    """Start, end, and status with reason of the gaps of one instrument, oldest first."""
    query = "SELECT started_at, ended_at, status, reason FROM gaps WHERE instrument_id = :id ORDER BY started_at"
    with transaction(engine) as connection:
        found = connection.execute(sa.text(query), {"id": instrument_id}).all()
    return [
        (f"{row.started_at:%d %H:%M}", f"{row.ended_at:%d %H:%M}", f"{row.status} {row.reason or ''}".strip())
        for row in found
    ]
