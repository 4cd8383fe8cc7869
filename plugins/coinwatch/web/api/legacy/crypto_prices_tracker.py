"""The four routes of Crypto Prices Tracker. Each response is an object with the list ``data``, as it was there.

Set COINWATCH_LEGACY_PORT=5001 to serve them on the port they had.
"""

import re
from datetime import timedelta
from email.utils import format_datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from coinwatch.codes import DOLLAR_LIKE, code_key
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.formatting import did_you_mean
from coinwatch.prices.candles.series import read_candles
from coinwatch.prices.catalog import INDEX
from coinwatch.prices.instrument_lookup import plain_symbol
from coinwatch.time_range import DAY, HOUR, MINUTE, floor_to
from coinwatch.web.dependencies import Site, SiteDep
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND, TOO_MANY_REQUESTS
from coinwatch.web.services.choices import Market, known_markets, watched_markets

router = APIRouter(tags=["legacy"], responses=COMMON_RESPONSES)

STEP = 10 * MINUTE  # between two prices, as it was there
INTERVAL = re.compile(r"(\d{1,6})\s*(minute|hour|day|week)?s?", re.IGNORECASE)
UNITS = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}
LONGEST = 31 * DAY


class Symbol(BaseModel):
    coin: str = Field(examples=["Bitcoin"])
    symbol: str = Field(examples=["BTC"])


class Symbols(BaseModel):
    data: list[Symbol]


class ExchangeName(BaseModel):
    exchange: str = Field(examples=["binance"])
    country: None = Field(description="coinwatch doesn't record the country of an exchange.")


class Exchanges(BaseModel):
    data: list[ExchangeName]


class Ticker(BaseModel):
    ticker: str = Field(examples=["BTCUSDT"])
    exchange: str = Field(examples=["binance"])
    coin: str = Field(examples=["Bitcoin"])


class Tickers(BaseModel):
    data: list[Ticker]


class PastPrice(BaseModel):
    ticker: str = Field(examples=["BTCUSDT"])
    price: float
    date: str = Field(examples=["Fri, 20 Nov 2026 12:00:00 GMT"])


class PriceHistory(BaseModel):
    data: list[PastPrice]


@router.get("/symbols", summary="All coins")
def list_symbols(site: SiteDep) -> Symbols:
    names = {market.base: market.coin_name for market in watched_markets(site.engine)}
    return Symbols(data=[Symbol(coin=name, symbol=code) for code, name in names.items()])


@router.get("/exchanges", summary="All exchanges that prices are fetched from")
def list_exchanges(site: SiteDep) -> Exchanges:
    codes = dict.fromkeys(market.exchange for market in _exchange_markets(watched_markets(site.engine)))
    return Exchanges(data=[ExchangeName(exchange=code, country=None) for code in codes])


@router.get("/tickers/{coin}/{exchange}", summary="Pairs of a coin on one exchange", responses=NOT_FOUND)
def list_tickers(
    site: SiteDep,
    coin: Annotated[str, Path(description="Name or code of the coin.", examples=["bitcoin"])],
    exchange: Annotated[str, Path(description="Code of the exchange.", examples=["binance"])],
) -> Tickers:
    markets = known_markets(site.engine)
    found = [market for market in markets if code_key(coin) in {code_key(market.base), code_key(market.coin_name)}]
    if not found:
        hint = did_you_mean(coin, {name: name for market in markets for name in (market.base, market.coin_name)})
        raise NotFound(f"Unknown coin {coin!r}.{hint or ' List them with /symbols.'}")
    on_exchange = [market for market in found if market.exchange == exchange.casefold()]
    if not on_exchange:
        codes = ", ".join(sorted({market.exchange for market in found}))
        raise NotFound(f"{found[0].coin_name} has no pair on {exchange!r}. It has pairs on: {codes}.")
    return Tickers(
        data=[
            Ticker(ticker=ticker_of(market), exchange=market.exchange, coin=market.coin_name) for market in on_exchange
        ]
    )


@router.get(
    "/price-history-minutes/{interval}/{ticker}",
    summary="A price every ten minutes, oldest first",
    responses={**NOT_FOUND, **TOO_MANY_REQUESTS},
)
def get_price_history_minutes(
    site: SiteDep,
    interval: Annotated[str, Path(description="How far back, up to 31 days.", examples=["120 minute", "2 hours"])],
    ticker: Annotated[str, Path(description="A pair.", examples=["BTCUSDT"])],
) -> PriceHistory:
    """If no exchange has prices of this pair, those of the index in US dollars; ``ticker`` says which."""
    now, length = site.clock(), _parse_interval(interval)
    for market in _find_markets(site, ticker):
        with site.query_slots.acquire():
            series = read_candles(
                site.engine,
                market.base,
                market.exchange,
                market.quote,
                resolution="5m",
                start=now - length,
                end=now,
                now=now,
            )
        if series.candles:
            break
    prices = {floor_to(candle.opened_at, STEP): candle.close for candle in series.candles}
    return PriceHistory(
        data=[
            PastPrice(ticker=ticker_of(market), price=price, date=format_datetime(opened_at, usegmt=True))
            for opened_at, price in prices.items()
        ]
    )


def ticker_of(market: Market) -> str:
    """The pair as one word, as exchanges write it: BTCUSDT."""
    return plain_symbol(market.base + market.quote)


def _exchange_markets(markets: list[Market]) -> list[Market]:
    return [market for market in markets if market.exchange != INDEX]


def _find_markets(site: Site, ticker: str) -> list[Market]:
    """Where to look for prices of a pair, never empty: the exchanges, then its coin's index. Raises NotFound."""
    wanted = plain_symbol(ticker)
    markets = watched_markets(site.engine)
    found = [market for market in _exchange_markets(markets) if ticker_of(market) == wanted]
    found += [
        market
        for market in markets
        if market.exchange == INDEX and wanted in {plain_symbol(market.base + quote) for quote in DOLLAR_LIKE}
    ]
    if not found:
        hint = did_you_mean(ticker, {ticker_of(market): ticker_of(market) for market in markets})
        raise NotFound(f"Unknown ticker {ticker!r}.{hint or ' List pairs with /tickers/bitcoin/binance.'}")
    return found


def _parse_interval(text: str) -> timedelta:
    found = INTERVAL.fullmatch(text.strip())
    if found is None:
        raise InvalidRequest("interval", f"interval is {text!r}; write it as in '120 minute' or '2 hours'.")
    length = int(found[1]) * UNITS[(found[2] or "minute").lower()]
    if not timedelta() < length <= LONGEST:
        raise InvalidRequest("interval", f"interval is {text!r}; it must be between 1 minute and {LONGEST.days} days.")
    return length
