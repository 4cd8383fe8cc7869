"""Prices and candles over a time range, and how far prices moved."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime
from pydantic_core import to_json

from coinwatch.prices.candles.series import DEFAULT_CANDLES, read_candles
from coinwatch.prices.history import movers
from coinwatch.prices.history.downsampling import POINTS_PER_BUCKET
from coinwatch.prices.history.movers import Movers
from coinwatch.prices.history.series import MAX_POINTS, PriceSeries, read_series
from coinwatch.time_range import validate_timestamp
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.forms import Seconds
from coinwatch.web.schemas.history import CandlesResponse, ChangesResponse
from coinwatch.web.schemas.parameters import Coin, Exchange, ExchangeFilter, Quote

router = APIRouter(prefix="/api/v1", tags=["history"], responses=COMMON_RESPONSES)

End = Annotated[AwareDatetime | None, Query(description="End of the time range (exclusive). Default: now.")]


@router.get("/history/{coin}", summary="Prices of one coin, oldest first", responses=NOT_FOUND)
def get_history(
    site: SiteDep,
    coin: Coin,
    exchange: Exchange = None,
    quote: Quote = None,
    start: Annotated[
        AwareDatetime | None, Query(description="Start of the time range. Default: 24 hours before end.")
    ] = None,
    end: End = None,
    points: Annotated[
        int,
        Query(
            ge=POINTS_PER_BUCKET,
            le=MAX_POINTS,
            description="Maximum number of points; more are downsampled, keeping peaks.",
        ),
    ] = 500,
) -> PriceSeries:
    until: datetime = end or site.clock()
    validate_timestamp("end", until)
    since: datetime = start or until - timedelta(hours=24)
    with site.query_slots.acquire():
        return read_series(site.engine, coin, exchange, quote, start=since, end=until, points=points)


@router.get(
    "/candles/{coin}",
    summary="Candles of one coin at any resolution, oldest first",
    response_model=CandlesResponse,
    responses=NOT_FOUND,
)
def get_candles(
    site: SiteDep,
    coin: Coin,
    exchange: Exchange = None,
    quote: Quote = None,
    resolution: Annotated[
        str, Query(max_length=10, description="1m, 5m, 15m, 1h, 4h, 1d, 1w (starting Monday) or 1M (month).")
    ] = "1h",
    start: Annotated[
        AwareDatetime | None,
        Query(description=f"Candles that open at or after this time. Default: the last {DEFAULT_CANDLES} candles."),
    ] = None,
    end: End = None,
    timezone: Annotated[
        str,
        Query(max_length=60, description="Time zone of candles of 4 hours and more, for example Europe/Berlin."),
    ] = "UTC",
    details: Annotated[bool, Query(description="Include source, trades and samples of each candle.")] = False,
) -> Response:
    with site.query_slots.acquire():
        found = read_candles(
            site.engine,
            coin,
            exchange,
            quote,
            resolution=resolution,
            start=start,
            end=end or site.clock(),
            timezone=timezone,
            now=site.clock(),
            origins=details,
        )
        return Response(to_json(CandlesResponse.plain(found)), media_type="application/json")


@router.get(
    "/changes", summary="Price changes of all coins over 1 hour, 1 day, 1 week and 30 days", responses=NOT_FOUND
)
def list_changes(site: SiteDep, exchange: ExchangeFilter = None) -> ChangesResponse:
    fresh = max(movers.FRESH, site.max_price_age)
    coins = movers.read_changes(site.engine, now=site.clock(), exchange=exchange, fresh=fresh)
    return ChangesResponse.create(coins)


@router.get("/movers", summary="Coins with the largest gains and losses", responses=NOT_FOUND)
def list_movers(
    site: SiteDep,
    window_seconds: Annotated[
        Seconds,
        Query(
            ge=60,
            le=movers.LONGEST_WINDOW.total_seconds(),
            description="How long ago to compare with.",
        ),
    ] = 86400,
    limit: Annotated[
        int, Query(ge=1, le=movers.MAX_MOVERS, description="Maximum number of coins in each direction.")
    ] = 10,
    exchange: ExchangeFilter = None,
) -> Movers:
    window, fresh = timedelta(seconds=window_seconds), max(movers.FRESH, site.max_price_age)
    return movers.read_movers(site.engine, window, limit, now=site.clock(), exchange=exchange, fresh=fresh)
