"""The REST API's look into the stored history: candles, a price at a moment, comparisons and movers."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.series import candles
from coinwatch.prices.candles.time_grid import check_moment
from coinwatch.prices.history import as_of as moments
from coinwatch.prices.history import movers
from coinwatch.prices.history.as_of import Comparison, PriceAt
from coinwatch.prices.history.movers import CoinChanges, Movers
from coinwatch.web.api.routes import COMMON, UNKNOWN, Exchange
from coinwatch.web.dependencies import Site, SiteHere

router = APIRouter(prefix="/api/v1", tags=["history"], responses=COMMON)

OfIndex = Annotated[str | None, Query(max_length=60, description="Code of an exchange. Left out: the index.")]
Quote = Annotated[str | None, Query(max_length=20, description="Left out: US dollar where there is one.")]


class CandleRecord(BaseModel):
    """One candle; ``volume`` is in the coin, null where not all of it is known. The last three only with details."""

    opened_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    complete: bool = Field(description="Whether it is over; the numbers of one that is not still change.")
    source: str | None = Field(None, description="exchange, rollup (of the exchange's finer ones), or our own quotes.")
    trades: int | None = None
    samples: int | None = None


class Candles(BaseModel):
    """Candles of one instrument, oldest first; where nothing is known there is none."""

    exchange: str
    base: str
    quote: str
    resolution: str
    timezone: str
    made_of: str = Field(description="The resolution of the stored candles they were read from.")
    candles: list[CandleRecord]


class AllChanges(BaseModel):
    """Changes of all coins, in percent, in the order of the windows."""

    windows_seconds: list[float]
    coins: list[CoinChanges]


@router.get(
    "/candles/{coin}",
    summary="Candles of one coin at any resolution, oldest first",
    responses=UNKNOWN,
    response_model_exclude_unset=True,
)
def read_candles(
    site: SiteHere,
    coin: str,
    exchange: OfIndex = None,
    quote: Quote = None,
    resolution: Annotated[
        str, Query(max_length=10, description="1m, 5m, 15m, 1h, 4h, 1d, 1w (from Monday) or 1M (month).")
    ] = "1h",
    start: Annotated[
        AwareDatetime | None, Query(description="Candles opened from then on. Left out: 7 days before end.")
    ] = None,
    end: Annotated[AwareDatetime | None, Query(description="Not included. Left out: now.")] = None,
    timezone: Annotated[
        str, Query(max_length=60, description="By whose clock four hours, days, weeks and months go, Europe/Berlin.")
    ] = "UTC",
    details: Annotated[bool, Query(description="With source, trades and samples of each candle.")] = False,
) -> Candles:
    until: datetime = end or site.clock()
    check_moment("end", until)
    found = candles(
        site.engine,
        coin,
        exchange,
        quote,
        resolution=resolution,
        start=start or until - timedelta(days=7),
        end=until,
        timezone=timezone,
        now=site.clock(),
        origins=details,
    )
    return Candles(
        exchange=found.exchange,
        base=found.base,
        quote=found.quote,
        resolution=found.resolution,
        timezone=found.timezone,
        made_of=found.made_of,
        candles=[CandleRecord.model_construct(**record) for record in found.records()],
    )


@router.get("/price/{coin}", summary="What one coin cost at a moment", responses=UNKNOWN)
def read_price_at(
    site: SiteHere,
    coin: str,
    at: Annotated[AwareDatetime, Query(description="The last price at or before this moment.")],
    exchange: OfIndex = None,
    quote: Quote = None,
    tolerance_seconds: Annotated[float, Query(description="How old it may be at that moment.")] = 3600,
) -> PriceAt:
    tolerance = _duration("tolerance_seconds", tolerance_seconds)
    return moments.price_at(site.engine, coin, exchange, quote, moment=at, tolerance=tolerance)


@router.get("/compare/{coin}", summary="One coin's prices at all exchanges against their median", responses=UNKNOWN)
def read_comparison(
    site: SiteHere,
    coin: str,
    quote: Annotated[str | None, Query(max_length=20, description="Left out: USD, USDT and USDC as one.")] = None,
    at: Annotated[AwareDatetime | None, Query(description="Left out: now.")] = None,
) -> Comparison:
    fresh = max(moments.FRESH, _fresh(site))
    return moments.compare_exchanges(site.engine, coin, quote, moment=at or site.clock(), fresh=fresh)


@router.get("/changes", summary="How far every coin moved in an hour, a day, a week and 30 days")
def read_changes(site: SiteHere, exchange: Exchange = None) -> AllChanges:
    found = movers.changes(site.engine, now=site.clock(), exchange=exchange, fresh=max(movers.FRESH, _fresh(site)))
    return AllChanges(windows_seconds=[window.total_seconds() for window in movers.WINDOWS], coins=found)


@router.get("/movers", summary="The coins that rose and fell most")
def read_movers(
    site: SiteHere,
    window_seconds: Annotated[float, Query(description="Compared with how long ago.")] = 86400,
    limit: Annotated[int, Query(description="At most so many in each direction.")] = 10,
    exchange: Exchange = None,
) -> Movers:
    window = _duration("window_seconds", window_seconds)
    fresh = max(movers.FRESH, _fresh(site))
    return movers.movers(site.engine, window, limit, now=site.clock(), exchange=exchange, fresh=fresh)


def _duration(name: str, seconds: float) -> timedelta:
    """Raises InvalidRequest where the number is no length of time; the library has its own bounds."""
    try:
        return timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise InvalidRequest(name, f"{seconds} seconds are no length of time to look back.") from None


def _fresh(site: Site) -> timedelta:
    """How old a price may be, with prices fetched as seldom as it is set."""
    return timedelta(seconds=site.settings.quote_gauge_max_age_seconds)
