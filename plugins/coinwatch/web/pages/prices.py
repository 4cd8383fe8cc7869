"""The start page: latest prices, and the form for a new alert."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from coinwatch.formatting import format_duration
from coinwatch.prices.history.latest import LatestPrice, read_latest_prices
from coinwatch.web.dependencies import Site, SiteDep
from coinwatch.web.services.alert_form import EMPTY_FORM
from coinwatch.web.services.choices import watched_choices

router = APIRouter(include_in_schema=False)

REFRESH_SECONDS = 15


@router.get("/")
def show_prices(site: SiteDep, request: Request) -> Response:
    choices = watched_choices(site.engine)
    form = {"choices": choices, "form": EMPTY_FORM, "errors": {}, "preview": None}
    return site.render(request, "overview/prices.html", _price_table(site) | form)


@router.get("/prices")
def show_price_table(site: SiteDep, request: Request) -> Response:
    """Only the table, which the page reloads every REFRESH_SECONDS."""
    return site.render(request, "overview/_price_table.html", _price_table(site))


def _price_table(site: Site) -> dict[str, object]:
    coins: dict[str, list[LatestPrice]] = {}
    for price in read_latest_prices(site.engine, site.clock()):
        coins.setdefault(price.base, []).append(price)
    return {
        "coins": coins,
        "stale_after": site.max_price_age.total_seconds(),
        "collect_interval": format_duration(timedelta(minutes=site.settings.collect_schedule_minutes)),
        "refresh_seconds": REFRESH_SECONDS,
    }
