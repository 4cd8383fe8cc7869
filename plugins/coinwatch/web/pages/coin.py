"""The pages for the price history of a coin and for finding a coin."""

from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote as quote_path
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from coinwatch.codes import code_key
from coinwatch.database import transaction
from coinwatch.errors import NotFound
from coinwatch.formatting import format_since
from coinwatch.prices.backfill.gaps import gap_tolerance, instrument_gaps
from coinwatch.prices.candles.resolutions import WIDTHS
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.latest import LatestPrice, read_latest_prices
from coinwatch.prices.history.series import PriceSeries, read_series
from coinwatch.web.dependencies import Site, SiteDep
from coinwatch.web.formatting import iso
from coinwatch.web.services.chart import draw_chart
from coinwatch.web.services.chart_gaps import ChartGaps, find_chart_gaps
from coinwatch.web.services.choices import Market, watched_choices, watched_markets

router = APIRouter(include_in_schema=False)

RANGES = {
    "1h": ("1 hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}
CHART_POINTS = 600
TABLE_ROWS = 25


@router.get("/coins")
def find_coin(site: SiteDep, request: Request, coin: Annotated[str, Query(max_length=60)] = "") -> Response:
    """The list of coins; with ``coin`` (code or name) a redirect to its history."""
    choices = watched_choices(site.engine)
    wanted = code_key(coin)
    if not wanted:
        return site.render(request, "coin/coins.html", {"choices": choices, "query": "", "error": None})
    for code, name in choices.coins.items():
        if wanted in {code_key(code), code_key(name)}:
            return RedirectResponse(f"{request.scope['root_path']}/coins/{quote_path(code, safe='')}", status_code=303)
    values = {"choices": choices, "query": coin, "error": f"We don't track “{coin.strip()}”."}
    return site.render(request, "coin/coins.html", values, status=404)


@router.get("/coins/{coin}")
def show_coin(
    site: SiteDep,
    request: Request,
    coin: str,
    exchange: Annotated[str, Query(max_length=60)] = "",
    range_: Annotated[str, Query(alias="range", max_length=10)] = "24h",
) -> Response:
    """``exchange`` is a code, or code:currency for an exchange with several currencies."""
    markets = watched_markets(site.engine, coin)
    if not markets:
        raise NotFound(f"We don't track “{coin}”.")
    range_ = range_ if range_ in RANGES else "24h"
    market = _chosen_market(markets, exchange)
    end = site.clock()
    start = end - RANGES[range_][1]
    history = read_series(
        site.engine, market.base, market.exchange, market.quote, start=start, end=end, points=CHART_POINTS
    )
    gaps = _chart_gaps(site, market, history, start, end)
    values = {
        "markets": markets,
        "market": market,
        "ranges": {code: label for code, (label, _) in RANGES.items()},
        "range": range_,
        "latest": _latest(site, market, end),
        "summary": _summary(history),
        "since": format_since(history.points[0].observed_at, start, end) if history.points else None,
        "history": history,
        "newest_first": history.points[: -TABLE_ROWS - 1 : -1],
        "chart": draw_chart(history.points, start, end, gaps.breaks),
        "gaps": gaps,
        "chart_data_url": _chart_data_url(request, market, start, end),
        "stale_after": site.max_price_age.total_seconds(),
    }
    return site.render(request, "coin/coin.html", values)


def _chosen_market(markets: list[Market], wanted: str) -> Market:
    """The market named by ``wanted``; by default the first, which is the index if there is one."""
    if not wanted:
        return markets[0]
    code, _, quote = wanted.partition(":")
    for market in markets:
        if market.exchange == code.lower() and code_key(quote) in {"", code_key(market.quote)}:
            return market
    names = {market.exchange: market.exchange_name for market in markets}
    available = ", ".join(names.values())
    raise NotFound(f"{markets[0].coin_name} isn't tracked on {names.get(code, wanted)}. Available on: {available}.")


def _chart_gaps(site: Site, market: Market, history: PriceSeries, start: datetime, end: datetime) -> ChartGaps:
    with transaction(site.engine) as connection:
        instrument = find_instrument(connection, market.base, market.exchange, market.quote)
        known = instrument_gaps(connection, instrument.instrument_id, start, end)
    coarsest = max((2 * WIDTHS[kind] for kind in history.made_of if kind != "prices"), default=timedelta())
    expected_within = max(gap_tolerance(site.settings, 0), coarsest)
    return find_chart_gaps(history.points, known, start, end, expected_within)


def _latest(site: Site, market: Market, now: datetime) -> LatestPrice | None:
    for price in read_latest_prices(site.engine, now, coin=market.base, exchange=market.exchange):
        if price.quote == market.quote:
            return price
    return None


def _summary(history: PriceSeries) -> dict[str, float] | None:
    """Lowest and highest price, and the change in percent from the first to the last."""
    if not history.points:
        return None
    values = [point.price for point in history.points]
    return {"low": min(values), "high": max(values), "change": 100 * (values[-1] - values[0]) / values[0]}


def _chart_data_url(request: Request, market: Market, start: datetime, end: datetime) -> str:
    """URL of the API call that returns the points in the chart, for the chart's script."""
    query = {"exchange": market.exchange, "quote": market.quote, "start": iso(start), "end": iso(end)}
    path = f"{request.scope['root_path']}/api/v1/history/{quote_path(market.base, safe='')}"
    return f"{path}?{urlencode(query | {'points': CHART_POINTS})}"
