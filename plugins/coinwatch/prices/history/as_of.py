"""What a coin cost at one moment: at one place, or everywhere at once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from coinwatch.database import fetch_rows, statement, transaction
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.formatting import format_duration, format_timestamp
from coinwatch.prices.candles.time_grid import check_moment
from coinwatch.prices.catalog import DOLLAR_LIKE, INDEX, find_instrument
from coinwatch.prices.history.downsampling import Kind

TOLERANCE = timedelta(hours=1)
# The most for which the days' partitions are looked through.
LONGEST_TOLERANCE = timedelta(days=31)
# A price older than this is shown, but has no say in what is usual.
FRESH = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class PriceAt:
    """The last price of one instrument at or before ``moment``.

    ``kind`` says what told it: ``prices`` (observed at ``observed_at``) or candles of a resolution, whose close it then
    is (``observed_at`` is their end). ``age_seconds`` counts from there to the moment.
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
    """One exchange's price at the moment of a comparison; ``price``, ``bid`` and ``ask`` in ``quote``.

    ``deviation_percent`` is the distance from the median of all fresh prices; ``spread_percent`` that of ask from bid,
    in percent of their middle. ``fresh`` says whether the price was young enough to count for the median.
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
    """A coin's prices at all exchanges that have one, by exchange; ``median`` is None where none is fresh.

    ``quotes`` are the currencies compared as one.
    """

    base: str
    quotes: tuple[str, ...]
    moment: datetime
    median: float | None
    prices: list[ExchangePrice]


class _Told(NamedTuple):
    instrument_id: int
    price: float
    observed_at: datetime
    bid: float | None
    ask: float | None
    kind: Kind


class _Place(NamedTuple):
    instrument_id: int
    exchange: str
    exchange_name: str
    base: str
    quote: str
    simulated: bool


def price_at(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    moment: datetime,
    tolerance: timedelta = TOLERANCE,
) -> PriceAt:
    """The last price of a coin (its index) or of an instrument at or before ``moment``, no older than ``tolerance``.

    Where prices of that time are not kept (any more), or candles know a later one, it is a candle's close. Raises
    NotFound where nothing is known, and for an unknown coin, exchange or currency; InvalidRequest for a moment without
    a time zone or a nonsensical tolerance.
    """
    _check(moment, tolerance)
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        told = _last_prices(connection, [instrument.instrument_id], moment, tolerance)
    if not told:
        raise NotFound(
            f"No price of {instrument.pair} at {instrument.exchange} at {format_timestamp(moment)}, "
            f"or up to {format_duration(tolerance)} before."
        )
    found = told[0]
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


def compare_exchanges(
    engine: Engine,
    coin: str,
    quote: str | None = None,
    *,
    moment: datetime,
    tolerance: timedelta = timedelta(days=1),
    fresh: timedelta = FRESH,
) -> Comparison:
    """A coin's price at every exchange at one moment, and how far each is from the median.

    Without ``quote`` US dollars and what stands for them (USDT, USDC) are compared as one. Prices older than ``fresh``
    are shown, but do not count for the median; nor do simulated exchanges where a real one has a price. Raises NotFound
    for a coin that is nowhere watched, or not in that currency; InvalidRequest for a moment without a time zone.
    """
    _check(moment, tolerance)
    with transaction(engine) as connection:
        places = _places(connection, coin, quote)
        ids = [place.instrument_id for place in places]
        told = {row.instrument_id: row for row in _last_prices(connection, ids, moment, tolerance)}
    known = [(place, told[place.instrument_id]) for place in places if place.instrument_id in told]
    counted = [(place, row) for place, row in known if moment - row.observed_at <= fresh]
    real = [(place, row) for place, row in counted if not place.simulated] or counted
    usual = median(row.price for _, row in real) if real else None
    prices = [_exchange_price(place, row, usual, moment, fresh) for place, row in known]
    quotes = tuple(dict.fromkeys(place.quote for place in places))
    return Comparison(places[0].base, quotes, moment.astimezone(UTC), usual, prices)


def _check(moment: datetime, tolerance: timedelta) -> None:
    check_moment("at", moment)
    if not timedelta(seconds=1) <= tolerance <= LONGEST_TOLERANCE:
        raise InvalidRequest("tolerance", f"A tolerance is 1 second to {LONGEST_TOLERANCE.days} days, not {tolerance}.")


def _last_prices(
    connection: Connection, instrument_ids: list[int], moment: datetime, tolerance: timedelta
) -> list[_Told]:
    parameters = {"instrument_ids": instrument_ids, "moment": moment, "oldest": moment - tolerance}
    return fetch_rows(connection, "prices/history/as_of", parameters, _Told)


def _places(connection: Connection, coin: str, quote: str | None) -> list[_Place]:
    everywhere = fetch_rows(connection, "prices/history/exchanges_of_coin", {"coin": coin.strip()}, _Place)
    if not everywhere:
        watched = connection.execute(statement("prices/catalog/coins_of"), {"exchange": INDEX}).scalars()
        raise NotFound(f"{coin!r} is not watched at any exchange. Watched: {', '.join(watched) or 'nothing yet'}.")
    wanted = (quote.strip().upper(),) if quote else DOLLAR_LIKE
    found = [place for place in everywhere if place.quote in wanted]
    if not found:
        there = ", ".join(sorted({place.quote for place in everywhere}))
        raise NotFound(f"{everywhere[0].base} is not priced in {' or '.join(wanted)} at any exchange, but in {there}.")
    return found


def _exchange_price(
    place: _Place, row: _Told, usual: float | None, moment: datetime, fresh: timedelta
) -> ExchangePrice:
    spread = 200 * (row.ask - row.bid) / (row.ask + row.bid) if row.bid is not None and row.ask is not None else None
    return ExchangePrice(
        exchange=place.exchange,
        exchange_name=place.exchange_name,
        quote=place.quote,
        price=row.price,
        deviation_percent=100 * (row.price - usual) / usual if usual is not None else None,
        observed_at=row.observed_at,
        age_seconds=(moment - row.observed_at).total_seconds(),
        bid=row.bid,
        ask=row.ask,
        spread_percent=spread,
        fresh=moment - row.observed_at <= fresh,
        simulated=place.simulated,
        kind=row.kind,
    )
