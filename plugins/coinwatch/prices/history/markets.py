"""What an overview of all coins shows: the newest price of each market, what it is compared with, and its last week."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, transaction
from coinwatch.prices.history.movers import MIN_TOLERANCE, TOLERANCE
from coinwatch.prices.unknown_names import check_names
from coinwatch.time_range import DAY, HOUR, floor_to

WINDOWS: Mapping[str, timedelta] = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY}


@dataclass(frozen=True, slots=True)
class MarketPrice:
    """The newest price of an instrument.

    ``price``, ``bid`` and ``ask`` are in the quote currency, ``volume_24h`` in the base currency. Prices of an index
    are compared after dividing them by their ``divisor``. ``observed_at`` is the exchange's time, ``received_at`` ours
    (UTC). An index is ``simulated`` if no real exchange is enabled for the coin.
    """

    instrument_id: int
    exchange: str
    exchange_name: str
    base: str
    coin_name: str
    quote: str
    price: float
    divisor: float
    volume_24h: float | None
    bid: float | None
    ask: float | None
    observed_at: datetime
    received_at: datetime
    simulated: bool
    aggregator: bool


@dataclass(frozen=True, slots=True)
class RecentHistory:
    """What the newest price of a market is compared with.

    ``references`` has its price at the start of each of ``WINDOWS`` by name; None if none is known. ``closes`` has the
    close of each hour of the last week, by the number of hours since its start; hours without prices are missing.
    """

    references: Mapping[str, float | None]
    closes: Mapping[int, float]


class _References(NamedTuple):
    instrument_id: int
    prices: list[float | None]


class _Closes(NamedTuple):
    instrument_id: int
    hours: list[int] | None
    closes: list[float] | None


def read_market_prices(engine: Engine, coin: str | None = None) -> list[MarketPrice]:
    """The newest price of every watched instrument, coins in configured order.

    The first of a coin is that of its main market: the index, or else the first exchange that has a price in US
    dollars, in a stablecoin, or in any currency. ``coin`` (a code or name) filters the list. Raises NotFound for an
    unknown coin, and DatabaseError.
    """
    with transaction(engine) as connection:
        parameters = {"coin": coin and coin.strip()}
        found = fetch_rows(connection, "prices/history/select_market_prices", parameters, MarketPrice)
        if not found and coin:
            check_names(connection, coin)
        return found


def main_markets(prices: Iterable[MarketPrice]) -> dict[str, MarketPrice]:
    """The main market of each coin, by its code, from a list in the order of :func:`read_market_prices`."""
    markets: dict[str, MarketPrice] = {}
    for price in prices:
        markets.setdefault(price.base, price)
    return markets


def read_recent_histories(engine: Engine, markets: Sequence[MarketPrice], now: datetime) -> dict[int, RecentHistory]:
    """The last week of each of the markets, by the id of its instrument; two statements for all of them."""
    references = read_references(engine, markets, WINDOWS, now)
    hours = {"instrument_ids": list(references), "start": floor_to(now - max(WINDOWS.values()), HOUR)}
    with transaction(engine) as connection:
        closes = fetch_rows(connection, "prices/history/select_hourly_closes", hours, _Closes)
    return {
        row.instrument_id: RecentHistory(
            references[row.instrument_id], dict(zip(row.hours or (), row.closes or (), strict=True))
        )
        for row in closes
    }


def read_references(
    engine: Engine, markets: Sequence[MarketPrice], windows: Mapping[str, timedelta], now: datetime
) -> dict[int, Mapping[str, float | None]]:
    """The price of each of the markets at the start of each of the named ``windows`` before ``now``.

    By the id of the instrument, then by the name of the window; None if no price is known from then.
    """
    durations = windows.values()
    parameters = {
        "instrument_ids": [market.instrument_id for market in markets],
        "divisors": [market.divisor for market in markets],
        "moments": [now - duration for duration in durations],
        "oldest": [now - duration - max(duration * TOLERANCE, MIN_TOLERANCE) for duration in durations],
    }
    with transaction(engine) as connection:
        found = fetch_rows(connection, "prices/history/select_reference_prices", parameters, _References)
    return {row.instrument_id: dict(zip(windows, row.prices, strict=True)) for row in found}
