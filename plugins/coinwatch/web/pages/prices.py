"""The pages people look at: latest prices, and the history of one coin."""

from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote as quote_path
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from coinwatch.database import transaction
from coinwatch.errors import NotFound
from coinwatch.formatting import format_duration
from coinwatch.prices.backfill.gaps import gap_tolerance, instrument_gaps
from coinwatch.prices.candles.resolutions import WIDTHS
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.latest import LatestPrice, Series, latest_prices, series
from coinwatch.web.dependencies import Site, SiteHere
from coinwatch.web.formatting import iso
from coinwatch.web.services.chart import draw
from coinwatch.web.services.chart_gaps import find_holes
from coinwatch.web.services.choices import Market, watched_choices, watched_markets
from coinwatch.web.services.subscription_requests import BLANK

router = APIRouter(include_in_schema=False)

RANGES = {
    "1h": ("1 hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}
REFRESH_SECONDS = 15
CHART_POINTS = 600
TABLE_ROWS = 25


@router.get("/")
def prices(site: SiteHere, request: Request) -> Response:
    choices = watched_choices(site.engine)
    form = {"choices": choices, "typed": BLANK, "problems": {}, "preview": None}
    return site.page(request, "prices.html", _price_table(site) | form)


@router.get("/prices")
def prices_table(site: SiteHere, request: Request) -> Response:
    """The table alone, as the page of prices fetches it again and again."""
    return site.page(request, "_price_table.html", _price_table(site))


@router.get("/coins")
def look_up(site: SiteHere, request: Request, coin: Annotated[str, Query(max_length=60)] = "") -> Response:
    """Coins to choose from; with ``coin`` (code or name) on to its history."""
    choices = watched_choices(site.engine)
    wanted = coin.strip().lower()
    if not wanted:
        return site.page(request, "coins.html", {"choices": choices, "typed": "", "problem": None})
    for code, name in choices.coins.items():
        if wanted in {code.lower(), name.lower()}:
            return RedirectResponse(f"{request.scope['root_path']}/coins/{quote_path(code, safe='')}", status_code=303)
    problem = f"No coin called “{coin.strip()}” is watched here."
    return site.page(request, "coins.html", {"choices": choices, "typed": coin, "problem": problem}, status=404)


@router.get("/coins/{coin}")
def coin_history(
    site: SiteHere,
    request: Request,
    coin: str,
    exchange: Annotated[str, Query(max_length=60)] = "",
    range_: Annotated[str, Query(alias="range", max_length=10)] = "24h",
) -> Response:
    """``exchange`` is a code, or code:currency where an exchange has the coin in several."""
    markets = watched_markets(site.engine, coin)
    if not markets:
        raise NotFound(f"No coin called “{coin}” is watched here.")
    range_ = range_ if range_ in RANGES else "24h"
    market = _chosen(markets, exchange)
    end = site.clock()
    start = end - RANGES[range_][1]
    history = series(site.engine, market.base, market.exchange, market.quote, start=start, end=end, points=CHART_POINTS)
    with transaction(site.engine) as connection:
        instrument = find_instrument(connection, market.base, market.exchange, market.quote)
        known = instrument_gaps(connection, instrument.instrument_id, start, end)
    coarsest = max((2 * WIDTHS[kind] for kind in history.made_of if kind != "prices"), default=timedelta())
    expected_within = max(gap_tolerance(site.settings, 0), coarsest)
    without_prices = find_holes(history.points, known, start, end, expected_within)
    latest = [row for row in latest_prices(site.engine, end, coin=market.base) if _same(row, market)]
    values = {
        "markets": markets,
        "market": market,
        "ranges": {code: label for code, (label, _) in RANGES.items()},
        "range": range_,
        "latest": latest[0] if latest else None,
        "summary": _summary(history),
        "history": history,
        "newest_first": history.points[: -TABLE_ROWS - 1 : -1],
        "chart": draw(history.points, start, end, without_prices.breaks),
        "holes": without_prices,
        "source": _source(request, market, start, end),
        "stale_after": site.settings.quote_gauge_max_age_seconds,
    }
    return site.page(request, "coin.html", values)


def _source(request: Request, market: Market, start: datetime, end: datetime) -> str:
    """Where the chart's script finds what the page was drawn from."""
    query = {"exchange": market.exchange, "quote": market.quote, "start": iso(start), "end": iso(end)}
    path = f"{request.scope['root_path']}/api/v1/history/{quote_path(market.base, safe='')}"
    return f"{path}?{urlencode(query | {'points': CHART_POINTS})}"


def _price_table(site: Site) -> dict[str, object]:
    now = site.clock()
    coins: dict[str, list[LatestPrice]] = {}
    for row in latest_prices(site.engine, now):
        coins.setdefault(row.base, []).append(row)
    return {
        "coins": coins,
        "stale_after": site.settings.quote_gauge_max_age_seconds,
        "cycle": format_duration(site.settings.collect_schedule_minutes * 60),
        "refresh_seconds": REFRESH_SECONDS,
    }


def _chosen(markets: list[Market], wanted: str) -> Market:
    """The market called ``wanted``, else the first: the index where there is one."""
    if not wanted:
        return markets[0]
    code, _, quote = wanted.partition(":")
    for market in markets:
        if market.exchange == code.lower() and quote.upper() in {"", market.quote}:
            return market
    known = ", ".join(dict.fromkeys(market.exchange for market in markets))
    raise NotFound(f"{markets[0].coin_name} is not watched at “{wanted}”, but at {known}.")


def _same(row: LatestPrice, market: Market) -> bool:
    return (row.exchange, row.quote) == (market.exchange, market.quote)


def _summary(history: Series) -> dict[str, float] | None:
    """First and last price of the range, its lowest and highest, and the change in percent."""
    if not history.points:
        return None
    values = [point.price for point in history.points]
    return {
        "low": min(values),
        "high": max(values),
        "change": 100 * (values[-1] - values[0]) / values[0],
    }
