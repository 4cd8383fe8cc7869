"""The page of a coin: its price over time, and what can be done with it."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote as quote_path
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import StringConstraints
from pydantic_core import to_json
from starlette.responses import RedirectResponse

from coinwatch.codes import code_key
from coinwatch.errors import NotFound
from coinwatch.formatting import format_since
from coinwatch.prices.candles.resolutions import WIDTHS
from coinwatch.prices.history.markets import MarketPrice, read_market_prices
from coinwatch.prices.history.series import read_newest_prices
from coinwatch.web.dependencies import Site, SiteDep
from coinwatch.web.formatting import iso
from coinwatch.web.overview.positions import Position
from coinwatch.web.services.choices import Market, watched_choices, watched_markets
from coinwatch.web.services.coin.chart_data import CoinChart, read_chart, script_data
from coinwatch.web.services.coin.drawing import draw
from coinwatch.web.services.coin.own_alerts import OwnAlerts, read_own
from coinwatch.web.services.coin.summary import price_of, summarize
from coinwatch.web.services.coin.view import AVERAGES, CUSTOM, RANGES, CoinView, market_key, parse_view
from coinwatch.web.sessions import signed_in_user

router = APIRouter(include_in_schema=False)

TABLE_ROWS = 25
DOWNLOADS = {"csv": "CSV", "json": "JSON", "parquet": "Parquet"}
CANDLES = {
    "1m": "1-minute",
    "5m": "5-minute",
    "15m": "15-minute",
    "1h": "hourly",
    "4h": "4-hour",
    "1d": "daily",
    "1w": "weekly",
}
CODE = Query(max_length=60)
Items = list[Annotated[str, StringConstraints(max_length=200)]] | None
LIST = Query(max_length=20)


@router.get("/coins")
def find_coin(site: SiteDep, request: Request, coin: Annotated[str, CODE] = "") -> Response:
    """A redirect to the page of ``coin`` (code or name), or to the overview."""
    root, wanted = request.scope["root_path"], code_key(coin)
    for code, name in watched_choices(site.engine).coins.items() if wanted else ():
        if wanted in {code_key(code), code_key(name)}:
            return RedirectResponse(f"{root}/coins/{quote_path(code, safe='')}", status_code=303)
    query = f"?{urlencode({'q': coin.strip()})}" if wanted else ""
    return RedirectResponse(f"{root}/{query}", status_code=303)


@router.get("/coins/{coin}")
def show_coin(
    site: SiteDep,
    request: Request,
    coin: str,
    exchange: Annotated[str, CODE] = "",
    quote: Annotated[str, CODE] = "",
    range_: Annotated[str, Query(alias="range", max_length=10)] = "",
    start: Annotated[str, CODE] = "",
    end: Annotated[str, CODE] = "",
    type_: Annotated[str, Query(alias="type", max_length=10)] = "",
    compare: Annotated[Items, LIST] = None,
    ma: Annotated[Items, LIST] = None,
    tz: Annotated[str, CODE] = "",
) -> Response:
    """The address reproduces the page: see ``services/coin/view.py``."""
    now = site.clock()
    markets = watched_markets(site.engine, coin)
    if not markets:
        raise NotFound(f"We don't track “{coin}”.")
    view = parse_view(
        markets,
        now,
        exchange=exchange,
        quote=quote,
        range_=range_,
        start=start,
        end=end,
        type_=type_,
        compare=compare or (),
        averages=ma or (),
        zone=tz,
    )
    chart = read_chart(site, view)
    prices = read_market_prices(site.engine, view.market.base)
    latest = price_of(prices, view.market)
    user_id = signed_in_user(request)
    values = {
        "markets": markets,
        "market": view.market,
        "market_key": market_key,
        "view": view,
        "entered": {"start": start, "end": end},
        "ranges": {code: label for code, (label, _) in RANGES.items()},
        "averages": sorted({*AVERAGES, *view.averages}),
        "latest": latest,
        "position": Position(max(price.received_at for price in prices)) if prices else "",
        "streamed_at": prices[0].observed_at if prices else None,
        "latest_age": max(0.0, (now - latest.observed_at).total_seconds()) if latest else None,
        "stale_after": site.max_price_age.total_seconds(),
        "chart": chart,
        "prices": read_newest_prices(
            site.engine,
            view.market.base,
            view.market.exchange,
            view.market.quote,
            start=view.start,
            end=view.end,
            limit=TABLE_ROWS,
        ),
        "table_rows": TABLE_ROWS,
        "since": None,
        "summary": None,
        "downloads": [],
        "signed_in": user_id is not None,
        **(_chart_values(site, request, view, chart, latest, read_own(site, view, user_id)) if chart else {}),
    }
    return site.render(request, "coin/coin.html", values)


def _chart_values(
    site: Site, request: Request, view: CoinView, chart: CoinChart, latest: MarketPrice | None, own: OwnAlerts
) -> dict[str, object]:
    since = _since(view, chart, WIDTHS[chart.resolution])
    return {
        "own": own,
        "drawing": draw(chart, view.type),
        # A < would end the element the data is in, within "</script>".
        "chart_json": to_json(script_data(chart, view) | asdict(own)).decode().replace("<", "\\u003c"),
        "candle_label": CANDLES[chart.resolution],
        "summary": summarize(site.engine, view, chart, latest, whole=since is None),
        "since": since,
        "downloads": [
            (market, {label: _download_url(request, view, market, chart, code) for code, label in DOWNLOADS.items()})
            for market in (view.market, *view.compared)
        ],
        "permalink": view.query(range=CUSTOM),
    }


def _since(view: CoinView, chart: CoinChart, width: timedelta) -> str | None:
    """When the chart begins, if that is later than the start of the time range."""
    first = chart.times[0]
    return None if first - view.start <= width else format_since(first, view.start, view.end)


def _download_url(request: Request, view: CoinView, market: Market, chart: CoinChart, code: str) -> str:
    """URL of the API's response with the candles in the chart."""
    query = {
        "exchange": market.exchange,
        "quote": market.quote,
        "resolution": chart.resolution,
        "start": iso(chart.times[0]),
        "end": iso(_end_of(view, chart)),
        "format": code,
    }
    path = f"{request.scope['root_path']}/api/v1/candles/{quote_path(market.base, safe='')}"
    return f"{path}?{urlencode(query)}"


def _end_of(view: CoinView, chart: CoinChart) -> datetime:
    """The end of the shown range in whole seconds; not before the last candle opens."""
    return max(view.end.replace(microsecond=0), chart.times[-1] + timedelta(seconds=1))
