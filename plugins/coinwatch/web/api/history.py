"""Prices and candles over a time range, and how far prices moved."""

from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime

from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.pages import are_final, read_candle_page
from coinwatch.prices.candles.resolutions import WIDTHS, parse_resolution
from coinwatch.prices.candles.series import DEFAULT_CANDLES, CandleSeries
from coinwatch.prices.candles.time_grid import EARLIEST, MAX_CANDLES
from coinwatch.prices.history import movers
from coinwatch.prices.history.downsampling import POINTS_PER_BUCKET, PricePoint
from coinwatch.prices.history.movers import Mover, Movers
from coinwatch.prices.history.series import MAX_POINTS, MAX_PRICES_PER_PAGE, read_prices, read_series
from coinwatch.time_range import DAY, HOUR, MINUTE, validate_range, validate_timestamp
from coinwatch.web.dependencies import CURRENT_SECONDS, Site, SiteDep
from coinwatch.web.formats.price_directives import AS_PRICES, PriceOutputDep
from coinwatch.web.formats.representations import AS_TABLE, OutputDep
from coinwatch.web.formats.tables import Table
from coinwatch.web.pagination import CursorParameter, decode_cursor, encode_cursor, next_page
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.forms import Seconds
from coinwatch.web.schemas.history import (
    CandlesResponse,
    ChangesResponse,
    HistoryResponse,
    candles_table,
    changes_table,
)
from coinwatch.web.schemas.parameters import Coin, Exchange, ExchangeFilter, Quote

PRICES_PER_PAGE = 1000
# A page of at most this many prices and days takes a few milliseconds: it doesn't wait for a slot.
SHORT_PAGE, SHORT_RANGE = 2000, 2 * DAY
SETTLED = HOUR  # a range that ended earlier has its prices, but gaps in it may still be filled
PAST_SECONDS = 60
FINAL_SECONDS = 86_400

router = APIRouter(prefix="/api/v1", tags=["history"], responses=COMMON_RESPONSES)

End = Annotated[AwareDatetime | None, Query(description="End of the time range (exclusive). Default: now.")]


@router.get(
    "/history/{coin}",
    summary="Recorded prices of one coin, oldest first",
    response_model=HistoryResponse,
    responses=NOT_FOUND | AS_PRICES,
)
def get_history(
    request: Request,
    site: SiteDep,
    output: PriceOutputDep,
    coin: Coin,
    exchange: Exchange = None,
    quote: Quote = None,
    start: Annotated[
        AwareDatetime | None, Query(description="Start of the time range. Default: 24 hours before end.")
    ] = None,
    end: End = None,
    points: Annotated[
        int | None,
        Query(
            ge=POINTS_PER_BUCKET,
            le=MAX_POINTS,
            description="For charts: the whole range in at most this many points, downsampled so that peaks are kept, "
            "with candles where there are no prices. Default: every recorded price, in pages.",
        ),
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=MAX_PRICES_PER_PAGE, description="Maximum number of prices per page.")
    ] = PRICES_PER_PAGE,
    cursor: CursorParameter = None,
) -> Response:
    """Without points, a page may have fewer prices than limit: there are more as long as there is a next page."""
    now = site.clock()
    until: datetime = end or now
    validate_timestamp("end", until)
    since: datetime = start or until - timedelta(hours=24)
    if cursor:
        if points is not None:
            raise InvalidRequest("points", "A range in points has no pages. Leave out either points or cursor.")
        since = _moment(cursor)
    is_short = points is None and limit <= SHORT_PAGE and until - since <= SHORT_RANGE
    with nullcontext() if is_short else site.query_slots.acquire():
        following = None
        if points is not None:
            series = read_series(site.engine, coin, exchange, quote, start=since, end=until, points=points)
        else:
            validate_range(since, until)
            since = max(since, min(EARLIEST, until - MINUTE))
            searched = max(min(until, now + MINUTE), since + MINUTE)  # there are no prices after now
            series, following = read_prices(
                site.engine, coin, exchange, quote, start=since, end=min(until, searched), limit=limit
            )
        market = {"exchange": series.exchange, "base": series.base, "quote": series.quote}
        return output.respond(
            series.as_dict(),
            lambda: Table.of(PricePoint, series.points, **market),
            filename=f"{series.base}-{series.quote}-{series.exchange}-prices",
            headers=site.cache_headers(PAST_SECONDS if until < now - SETTLED else CURRENT_SECONDS)
            | next_page(request, encode_cursor(following) if following else None),
        )


@router.get(
    "/candles/{coin}",
    summary="Candles of one coin at any resolution, oldest first",
    response_model=CandlesResponse,
    responses=NOT_FOUND | AS_PRICES,
)
def get_candles(
    request: Request,
    site: SiteDep,
    output: PriceOutputDep,
    coin: Coin,
    exchange: Exchange = None,
    quote: Quote = None,
    resolution: Annotated[
        str, Query(max_length=10, description="1m, 5m, 15m, 1h, 4h, 1d, 1w (starting Monday) or 1M (month).")
    ] = "1h",
    start: Annotated[
        AwareDatetime | None,
        Query(description="Candles that open at or after this time. Default: the last candles, as many as limit."),
    ] = None,
    end: End = None,
    timezone: Annotated[
        str,
        Query(max_length=60, description="Time zone of candles of 4 hours and more, for example Europe/Berlin."),
    ] = "UTC",
    details: Annotated[bool, Query(description="Include source, trades and samples of each candle.")] = False,
    limit: Annotated[
        int | None,
        Query(
            ge=1,
            le=MAX_CANDLES,
            description=f"Maximum number of candles per page. Default: {DEFAULT_CANDLES} without start, otherwise "
            f"{MAX_CANDLES:,}.",
        ),
    ] = None,
    cursor: CursorParameter = None,
) -> Response:
    """A page may have fewer candles than limit: there are more as long as there is a next page."""
    now = site.clock()
    until: datetime = end or now
    validate_timestamp("end", until)
    width = WIDTHS[parse_resolution(resolution)]
    since = _moment(cursor) if cursor else start
    if since is None:
        since = max(min(until, now) - (limit or DEFAULT_CANDLES) * width, EARLIEST)
    with site.query_slots.acquire():
        found, following = read_candle_page(
            site.engine,
            coin,
            exchange,
            quote,
            resolution=resolution,
            start=since,
            end=until,
            timezone=timezone,
            now=now,
            origins=details,
            limit=limit or MAX_CANDLES,
        )
        return output.respond(
            CandlesResponse.plain(found),
            lambda: candles_table(found),
            filename=f"{found.base}-{found.quote}-{found.exchange}-{found.resolution}",
            headers=_cache_candles(site, found, until, now)
            | next_page(request, encode_cursor(following) if following else None),
        )


@router.get(
    "/changes",
    summary="Price changes of all coins over 1 hour, 1 day, 1 week and 30 days",
    response_model=ChangesResponse,
    responses=NOT_FOUND | AS_TABLE,
)
def list_changes(site: SiteDep, output: OutputDep, exchange: ExchangeFilter = None) -> Response:
    fresh = max(movers.FRESH, site.max_price_age)
    coins = movers.read_changes(site.engine, now=site.clock(), exchange=exchange, fresh=fresh)
    return output.respond(
        ChangesResponse.create(coins),
        lambda: changes_table(coins),
        filename="changes",
        headers=site.cache_headers(CURRENT_SECONDS),
    )


@router.get(
    "/movers",
    summary="Coins with the largest gains and losses",
    response_model=Movers,
    responses=NOT_FOUND | AS_TABLE,
)
def list_movers(
    site: SiteDep,
    output: OutputDep,
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
) -> Response:
    window, fresh = timedelta(seconds=window_seconds), max(movers.FRESH, site.max_price_age)
    found = movers.read_movers(site.engine, window, limit, now=site.clock(), exchange=exchange, fresh=fresh)
    return output.respond(
        found,
        lambda: Table.of(Mover, [*found.gainers, *found.losers]),
        filename="movers",
        headers=site.cache_headers(CURRENT_SECONDS),
    )


def _moment(cursor: str) -> datetime:
    [moment] = decode_cursor(cursor, datetime)
    return cast("datetime", moment)


def _cache_candles(site: Site, found: CandleSeries, until: datetime, now: datetime) -> dict[str, str]:
    """How long candles may be reused. Past ones are replaced when a backfill finds better, unless they are final."""
    if until >= now - SETTLED or found.forming:
        return site.cache_headers(CURRENT_SECONDS)
    if are_final(site.engine, found, now):
        return site.cache_headers(FINAL_SECONDS, immutable=True)
    return site.cache_headers(PAST_SECONDS)
