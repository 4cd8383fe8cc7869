"""Prices now, and at one point in time."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from coinwatch.prices.history import as_of
from coinwatch.prices.history.as_of import Comparison, ExchangePrice, PriceAt
from coinwatch.prices.history.latest import LatestPrice, read_latest_prices
from coinwatch.web.dependencies import CURRENT_SECONDS, Site, SiteDep
from coinwatch.web.formats.price_directives import AS_PRICES, PriceOutputDep
from coinwatch.web.formats.representations import AS_TABLE, Output, OutputDep
from coinwatch.web.formats.tables import Table
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.forms import Seconds
from coinwatch.web.schemas.parameters import Coin, Exchange, ExchangeFilter, Quote

TOLERANCE_SECONDS = int(as_of.TOLERANCE.total_seconds())

router = APIRouter(prefix="/api/v1", tags=["prices"], responses=COMMON_RESPONSES)


@router.get(
    "/prices",
    summary="Latest prices of all coins",
    response_model=list[LatestPrice],
    responses=NOT_FOUND | AS_PRICES,
)
def list_prices(site: SiteDep, output: PriceOutputDep, exchange: ExchangeFilter = None) -> Response:
    prices = read_latest_prices(site.engine, site.clock(), exchange=exchange)
    return _respond(site, output, prices, "prices")


@router.get(
    "/prices/{coin}",
    summary="Latest prices of one coin, by code or name",
    response_model=list[LatestPrice],
    responses=NOT_FOUND | AS_PRICES,
)
def get_prices_of_coin(site: SiteDep, output: PriceOutputDep, coin: Coin, exchange: ExchangeFilter = None) -> Response:
    prices = read_latest_prices(site.engine, site.clock(), coin=coin, exchange=exchange)
    return _respond(site, output, prices, f"{coin}-prices")


@router.get(
    "/price/{coin}",
    summary="Price of one coin at a point in time",
    response_model=PriceAt,
    responses=NOT_FOUND | AS_TABLE,
)
def get_price_at(
    site: SiteDep,
    output: OutputDep,
    coin: Coin,
    at: Annotated[AwareDatetime, Query(description="Returns the last price at or before this time.")],
    exchange: Exchange = None,
    quote: Quote = None,
    tolerance_seconds: Annotated[
        Seconds,
        Query(
            ge=1,
            le=as_of.MAX_TOLERANCE.total_seconds(),
            description="Maximum age of the price at that time.",
        ),
    ] = TOLERANCE_SECONDS,
) -> Response:
    tolerance = timedelta(seconds=tolerance_seconds)
    found = as_of.read_price_at(site.engine, coin, exchange, quote, moment=at, tolerance=tolerance)
    return output.respond(
        found,
        lambda: Table.of(PriceAt, [found]),
        filename=f"{found.base}-{found.quote}-{found.exchange}-price",
        headers=site.cache_headers(CURRENT_SECONDS),
    )


@router.get(
    "/compare/{coin}",
    summary="Prices of one coin on all exchanges and their median",
    response_model=Comparison,
    responses=NOT_FOUND | AS_TABLE,
)
def compare_prices(
    site: SiteDep,
    output: OutputDep,
    coin: Coin,
    quote: Annotated[
        str | None, Query(max_length=20, description="Quote currency. Default: USD, USDT and USDC together.")
    ] = None,
    at: Annotated[AwareDatetime | None, Query(description="Time of the comparison. Default: now.")] = None,
) -> Response:
    fresh = max(as_of.FRESH, site.max_price_age)
    compared = as_of.compare_exchange_prices(site.engine, coin, quote, moment=at or site.clock(), fresh=fresh)
    return output.respond(
        compared,
        lambda: Table.of(ExchangePrice, compared.prices, moment=compared.moment, base=compared.base),
        filename=f"{compared.base}-compared",
        headers=site.cache_headers(CURRENT_SECONDS),
        volatile={"moment": True, "prices": {"__all__": {"age_seconds"}}},
    )


def _respond(site: Site, output: Output, prices: list[LatestPrice], filename: str) -> Response:
    return output.respond(
        prices,
        lambda: Table.of(LatestPrice, prices),
        filename=filename,
        headers=site.cache_headers(CURRENT_SECONDS),
        volatile={"__all__": {"age_seconds"}},
    )
