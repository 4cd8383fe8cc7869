"""The start page: all coins at a glance, and each coin's exchanges on demand."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from coinwatch.formatting import format_duration
from coinwatch.prices.history.markets import read_market_prices
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.overview.reading import read_overview
from coinwatch.web.overview.sorting import ASCENDING_FIRST, COLUMNS, matches, sort_rows

router = APIRouter(include_in_schema=False)

MAX_TEXT = 100
Text = Annotated[str, Query(max_length=MAX_TEXT)]


@router.get("/")
def show_overview(
    site: SiteDep,
    request: Request,
    q: Text = "",
    sort: Text = "",
    order: Text = "",
    opened: Annotated[str, Query(alias="open", max_length=MAX_TEXT)] = "",
) -> Response:
    """The overview; ``q`` filters, ``sort`` and ``order`` sort, ``open`` is the coin whose exchanges are shown."""
    now = site.clock()
    overview = read_overview(site.engine, site.histories, now, site.max_price_age)
    descending = order == "desc" if order in {"asc", "desc"} else sort not in ASCENDING_FIRST
    rows = sort_rows(overview.rows, sort, descending)
    values = {
        "rows": rows,
        "found": {row.coin for row in rows if matches(row, q)},
        "overview": overview,
        "query": q.strip(),
        "columns": COLUMNS,
        "sort": sort if sort in COLUMNS else "",
        "descending": descending,
        "ascending_first": ASCENDING_FIRST,
        "open_coin": opened,
        "markets": [price for price in overview.prices if price.base == opened],
        "stale_after": site.max_price_age.total_seconds(),
        "collect_interval": format_duration(timedelta(minutes=site.settings.collect_schedule_minutes)),
    }
    return site.render(request, "overview/overview.html", values)


@router.get("/prices/{coin}")
def show_markets(site: SiteDep, request: Request, coin: str) -> Response:
    """The prices of a coin on every exchange, as a part of the page. Raises NotFound for an unknown coin."""
    values = {
        "markets": read_market_prices(site.engine, coin),
        "stale_after": site.max_price_age.total_seconds(),
    }
    return site.render(request, "overview/_markets.html", values)
