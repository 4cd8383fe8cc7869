"""Stored prices for people and programs: the latest of everything, and the history of one instrument."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, transaction
from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.prices.candles.time_grid import check_range
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.downsampling import Kind, Span, candle_points, read_points

MAX_POINTS = 5000


@dataclass(frozen=True, slots=True)
class LatestPrice:
    """The newest price of one instrument.

    ``price``, ``bid`` and ``ask`` are in ``quote``; ``volume_24h`` in ``base``; ``change_24h_percent`` in
    percent, None without a price of a day before, and for a price that is itself older than a day; ``age_seconds``
    counts from ``observed_at`` (UTC).
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


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one instrument, oldest first, and what they were made of: prices as observed, candles, or both."""

    exchange: str
    base: str
    quote: str
    made_of: tuple[Kind, ...]
    points: list[PricePoint]


def latest_prices(
    engine: Engine, now: datetime, coin: str | None = None, exchange: str | None = None, *, with_change: bool = True
) -> list[LatestPrice]:
    """The newest price of every watched instrument, coins as configured, the index before the exchanges.

    ``coin`` (code or name) and ``exchange`` (code) narrow it down; unknown ones give an empty list. Who does not need
    the change over 24 hours gets the rest in half the time.
    """
    parameters = {
        "now": now,
        "coin": coin,
        "exchange": exchange,
        "with_change": with_change,
        "oldest": now - timedelta(hours=49),
        "newest": now - timedelta(hours=24) + timedelta(minutes=1),  # clocks of exchanges may be ahead of ours
    }
    with transaction(engine) as connection:
        return fetch_rows(connection, "prices/history/latest", parameters, LatestPrice)


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
    """Prices of one instrument in ``[start, end)``, at most ``points`` of them: what ``series`` finds."""
    found = series(engine, coin, exchange, quote, start=start, end=end, points=points)
    return History(found.exchange, found.base, found.quote, found.points)


def series(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    start: datetime,
    end: datetime,
    points: int = 500,
    resolution: Resolution | None = None,
) -> Series:
    """Points of one instrument, or of a coin (its index), in ``[start, end)``, at most ``points`` of them.

    Prices as they were observed, where they are kept; where there are more, equal stretches of time keep their first,
    last, lowest and highest. Where there are none for a while, or far too many, candles stand in for them, thinned in
    the same way. With ``resolution`` it is candles of that resolution only. Raises NotFound for an unknown coin,
    exchange or currency, InvalidRequest for a nonsensical range.
    """
    check_range(start, end)
    if not 4 <= points <= MAX_POINTS:
        raise InvalidRequest("points", f"Ask for 4 to {MAX_POINTS} points, not {points}.")
    span = Span(start.astimezone(UTC), end.astimezone(UTC), points // 4)
    kinds: list[Kind]
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        if resolution is None:
            found, kinds = read_points(connection, instrument.instrument_id, span, points)
        else:
            found, kinds = candle_points(connection, instrument.instrument_id, span, resolution), [resolution]
    made_of = tuple(dict.fromkeys(kinds))
    return Series(
        instrument.exchange, instrument.base, instrument.quote, made_of, [PricePoint(*point) for point in found]
    )
