"""Stored prices for people and programs: the latest of everything, and the history of one instrument."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.errors import InvalidRequest
from coinwatch.prices.catalog import find_instrument

MAX_POINTS = 5000


@dataclass(frozen=True, slots=True)
class LatestPrice:
    """The newest price of one instrument.

    ``price``, ``bid`` and ``ask`` are in ``quote``; ``volume_24h`` in ``base``; ``change_24h_percent`` in
    percent, None without a price of a day before; ``age_seconds`` counts from ``observed_at`` (UTC).
    """

    exchange: str
    exchange_name: str
    base: str
    coin_name: str
    quote: str
    price: float
    volume_24h: float | None
    bid: float | None
    ask: float | None
    observed_at: datetime
    age_seconds: float
    change_24h_percent: float | None


@dataclass(frozen=True, slots=True)
class PricePoint:
    observed_at: datetime
    price: float
    volume_24h: float | None


@dataclass(frozen=True, slots=True)
class History:
    """Prices of one instrument, oldest first."""

    exchange: str
    base: str
    quote: str
    points: list[PricePoint]


def latest_prices(
    engine: Engine, now: datetime, coin: str | None = None, exchange: str | None = None
) -> list[LatestPrice]:
    """The newest price of every watched instrument, coins as configured, the index before the exchanges.

    ``coin`` (code or name) and ``exchange`` (code) narrow it down; unknown ones give an empty list.
    """
    with transaction(engine) as connection:
        rows = connection.execute(statement("prices/latest"), {"coin": coin, "exchange": exchange}).mappings().all()
    return [LatestPrice(**row, age_seconds=max(0.0, (now - row["observed_at"]).total_seconds())) for row in rows]


def price_history(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    start: datetime,
    end: datetime,
    points: int = 500,
) -> History:
    """Prices of one instrument observed in ``[start, end)``, at most ``points`` of them.

    Where there are more, equal stretches of time keep their first, last, lowest and highest price. Raises
    NotFound for an unknown coin, exchange or currency, InvalidRequest for a nonsensical range.
    """
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidRequest(name, f"{name} needs a time zone, for example 2026-01-31T12:00:00Z.")
    if start >= end:
        raise InvalidRequest("start", "The start of the range has to lie before its end.")
    if not 4 <= points <= MAX_POINTS:
        raise InvalidRequest("points", f"Ask for 4 to {MAX_POINTS} points, not {points}.")
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        rows = connection.execute(
            statement("prices/history"),
            {
                "instrument_id": instrument.instrument_id,
                "start": start.astimezone(UTC),
                "end": end.astimezone(UTC),
                "points": points,
            },
        )
        found = [PricePoint(row.observed_at, row.price, row.volume_24h) for row in rows]
    return History(instrument.exchange, instrument.base, instrument.quote, found)
