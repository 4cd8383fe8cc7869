"""Backfilling against the far end: a clock that only sleeping moves, recorded minutes, and what the tables hold."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.prices.backfill.runner import BackfillResult
from tests.exchange_server import ExchangeServer
from tests.exchange_server.recorded import RecordedCandle

NOW = datetime(2026, 3, 2, 18, 0, 30, tzinfo=UTC)
DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
VENUES = ("binance", "coinbase", "kraken", "coinnews")


class Time:
    """A clock that only sleeping moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


Backfill = Callable[..., BackfillResult]


def minutes(first: datetime, count: int, missing: frozenset[int] = frozenset()) -> list[RecordedCandle]:
    """A walk of prices with exact sums; ``missing`` minutes are left out."""
    random, price, found = Random(7), 1000.0, []
    for number in range(count):
        opening, price = price, price + random.randint(-8, 8) / 4
        high, low = max(opening, price) + random.randint(0, 4) / 4, min(opening, price) - random.randint(0, 4) / 4
        if number not in missing:
            opened = int(first.timestamp()) + 60 * number
            found.append(RecordedCandle(opened, opening, high, low, price, random.randint(1, 80) / 8))
    return found


def record(exchange_server: ExchangeServer, venue: str, rows: list[RecordedCandle], base: str = "BTC") -> None:
    exchange_server.market.record(venue, base, "USDT" if venue == "binance" else "USD", rows)


def instrument_id(engine: sa.Engine, code: str, base: str = "BTC") -> int:
    query = (
        "SELECT i.id FROM instruments i JOIN exchanges e ON e.id = exchange_id WHERE e.code = :code AND base = :base"
    )
    with transaction(engine) as connection:
        return int(connection.execute(sa.text(query), {"code": code, "base": base}).scalar_one())


def candles(engine: sa.Engine, resolution: str, code: str, base: str = "BTC") -> list[Any]:
    query = (
        "SELECT c.* FROM candles c JOIN instruments i ON i.id = c.instrument_id JOIN exchanges e ON e.id = exchange_id"
        " WHERE e.code = :code AND base = :base AND resolution = CAST(:resolution AS candle_resolution)"
        " ORDER BY opened_at"
    )
    with transaction(engine) as connection:
        return list(connection.execute(sa.text(query), {"code": code, "base": base, "resolution": resolution}))


def everything(engine: sa.Engine) -> list[str]:
    """All candles as text, to the last bit."""
    query = "SELECT CAST(c AS text) FROM candles c ORDER BY resolution, instrument_id, opened_at"
    with transaction(engine) as connection:
        return list(connection.execute(sa.text(query)).scalars())


def fetches(engine: sa.Engine, code: str, base: str = "BTC") -> list[tuple[str, datetime, datetime, str, int]]:
    query = (
        "SELECT resolution::text, started_at, ended_at, outcome, candles FROM candle_fetches"
        " WHERE instrument_id = :id ORDER BY resolution, started_at"
    )
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), {"id": instrument_id(engine, code, base)})]
