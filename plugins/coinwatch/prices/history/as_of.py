"""The price of a coin at a given moment, on one exchange or compared across all exchanges."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from coinwatch.codes import DOLLAR_LIKE, code_key, compose
from coinwatch.database import fetch_rows, transaction
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.formatting import format_duration, format_timestamp
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.downsampling import Kind
from coinwatch.prices.unknown_names import unknown_coin
from coinwatch.time_range import validate_timestamp

TOLERANCE = timedelta(hours=1)
MAX_TOLERANCE = timedelta(days=31)  # every day of it is a partition that has to be searched
# An older price is shown, but does not count for the median.
FRESH = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class PriceAt:
    """The last price of one instrument at or before ``moment``.

    ``kind`` is ``prices`` for a price observed at ``observed_at``, or the resolution of the candle whose close it is.
    ``observed_at`` is then the end of a candle from the exchange, and the start of a candle computed from quotes, whose
    close may have been observed at any time within it. ``age_seconds`` is the time from ``observed_at`` to ``moment``.
    """

    exchange: str
    base: str
    quote: str
    moment: datetime
    price: float
    observed_at: datetime
    age_seconds: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class ExchangePrice:
    """One exchange's price at the moment of a comparison; ``price``, ``bid`` and ``ask`` are in ``quote``.

    ``deviation_percent`` is the difference from the median of all fresh prices in percent. ``spread_percent`` is the
    difference between ask and bid in percent of their mean. Only a ``fresh`` price counts for the median.
    """

    exchange: str
    exchange_name: str
    quote: str
    price: float
    deviation_percent: float | None
    observed_at: datetime
    age_seconds: float
    bid: float | None
    ask: float | None
    spread_percent: float | None
    fresh: bool
    simulated: bool
    kind: Kind


@dataclass(frozen=True, slots=True)
class Comparison:
    """A coin's prices on all exchanges that have one, ordered by exchange; ``median`` is None if none is fresh.

    ``quotes`` are the currencies that are treated as equal.
    """

    base: str
    quotes: tuple[str, ...]
    moment: datetime
    median: float | None
    prices: list[ExchangePrice]


class _LastPrice(NamedTuple):
    instrument_id: int
    price: float
    observed_at: datetime
    bid: float | None
    ask: float | None
    kind: Kind


class _Market(NamedTuple):
    instrument_id: int
    exchange: str
    exchange_name: str
    base: str
    quote: str
    simulated: bool
    aggregator: bool


def read_price_at(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    moment: datetime,
    tolerance: timedelta = TOLERANCE,
) -> PriceAt:
    """The last price of an instrument at or before ``moment``, at most ``tolerance`` older.

    It is the close of a candle from the exchange if that ended later than the last price was observed. A larger
    ``tolerance`` finds a price where a smaller one finds none, but never an older one. ``coin`` is a code or a
    name; without ``exchange`` it is the index. Raises NotFound if there is no such price and for an unknown coin,
    exchange or currency; InvalidRequest for a moment without a time zone or a tolerance out of bounds.
    """
    _validate(moment, tolerance)
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        last_prices = _read_last_prices(connection, [instrument.instrument_id], moment, tolerance)
    if not last_prices:
        raise NotFound(
            f"No price of {instrument.pair} on {instrument.exchange} is known at {format_timestamp(moment)}, or within "
            f"{format_duration(tolerance)} before it."
        )
    found = last_prices[0]
    age = (moment - found.observed_at).total_seconds()
    return PriceAt(
        instrument.exchange,
        instrument.base,
        instrument.quote,
        moment.astimezone(UTC),
        found.price,
        found.observed_at,
        age,
        found.kind,
    )


def compare_exchange_prices(
    engine: Engine,
    coin: str,
    quote: str | None = None,
    *,
    moment: datetime,
    tolerance: timedelta = timedelta(days=1),
    fresh: timedelta = FRESH,
) -> Comparison:
    """A coin's price on every exchange at one moment, and its difference from the median.

    Without ``quote``, US dollars and stablecoins (USDT, USDC) are treated as equal. Prices older than ``fresh`` do not
    count for the median, nor do those of simulated exchanges if a real one is enabled, and of aggregators if an
    exchange has a price. Raises NotFound for a coin that is not watched, or not in that currency; InvalidRequest for a
    moment without a time zone or a tolerance out of bounds.
    """
    _validate(moment, tolerance)
    with transaction(engine) as connection:
        markets = _find_markets(connection, coin, quote)
        ids = [market.instrument_id for market in markets]
        last_prices = {row.instrument_id: row for row in _read_last_prices(connection, ids, moment, tolerance)}
    known = [(market, last_prices[market.instrument_id]) for market in markets if market.instrument_id in last_prices]
    counted = [(market, row) for market, row in known if moment - row.observed_at <= fresh]
    demo = all(market.simulated for market in markets)
    real = [(market, row) for market, row in counted if demo or not market.simulated]
    compared = [(market, row) for market, row in real if not market.aggregator] or real
    middle = median(row.price for _, row in compared) if compared else None
    prices = [_exchange_price(market, row, middle, moment, fresh) for market, row in known]
    quotes = tuple(dict.fromkeys(market.quote for market in markets))
    return Comparison(markets[0].base, quotes, moment.astimezone(UTC), middle, prices)


def _validate(moment: datetime, tolerance: timedelta) -> None:
    validate_timestamp("at", moment)
    if not timedelta(seconds=1) <= tolerance <= MAX_TOLERANCE:
        raise InvalidRequest(
            "tolerance",
            f"tolerance is {format_duration(tolerance)}; it must be between 1 second and {MAX_TOLERANCE.days} days.",
        )


def _read_last_prices(
    connection: Connection, instrument_ids: list[int], moment: datetime, tolerance: timedelta
) -> list[_LastPrice]:
    parameters = {"instrument_ids": instrument_ids, "moment": moment, "oldest": moment - tolerance}
    return fetch_rows(connection, "prices/history/select_prices_as_of", parameters, _LastPrice)


def _find_markets(connection: Connection, coin: str, quote: str | None) -> list[_Market]:
    everywhere = fetch_rows(
        connection, "prices/history/select_instruments_of_coin", {"coin": compose(coin.strip())}, _Market
    )
    if not everywhere:
        raise unknown_coin(connection, coin, None)
    wanted = (quote.strip(),) if quote else DOLLAR_LIKE
    keys = {code_key(each) for each in wanted}
    found = [market for market in everywhere if code_key(market.quote) in keys]
    if not found:
        available = ", ".join(sorted({market.quote for market in everywhere}))
        raise NotFound(
            f"{everywhere[0].base} is not priced in {' or '.join(wanted)} on any exchange. Available: {available}."
        )
    return found


def _exchange_price(
    market: _Market, row: _LastPrice, middle: float | None, moment: datetime, fresh: timedelta
) -> ExchangePrice:
    spread = 200 * (row.ask - row.bid) / (row.ask + row.bid) if row.bid is not None and row.ask is not None else None
    return ExchangePrice(
        exchange=market.exchange,
        exchange_name=market.exchange_name,
        quote=market.quote,
        price=row.price,
        deviation_percent=100 * (row.price - middle) / middle if middle is not None else None,
        observed_at=row.observed_at,
        age_seconds=(moment - row.observed_at).total_seconds(),
        bid=row.bid,
        ask=row.ask,
        spread_percent=spread,
        fresh=moment - row.observed_at <= fresh,
        simulated=market.simulated,
        kind=row.kind,
    )
