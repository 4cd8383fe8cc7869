"""Feeds for news readers."""

from email.utils import format_datetime

from fastapi import APIRouter, Response

from coinwatch.alerts.fired import read_index_alerts
from coinwatch.errors import NotFound
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.services.choices import watched_markets
from coinwatch.web.services.coin.feed import MEDIA_TYPE, updated_at, write_feed

router = APIRouter(include_in_schema=False)

FRESH_SECONDS = 60


@router.get("/coins/{coin}/alerts.atom")
def get_alerts_feed(site: SiteDep, coin: str) -> Response:
    """What fired on a coin's index. Nothing in it is personal, so anyone may keep it."""
    markets = watched_markets(site.engine, coin)
    if not markets:
        raise NotFound(f"We don't track “{coin}”.")
    with site.query_slots.acquire():
        alerts = read_index_alerts(site.engine, markets[0].base, site.clock())
    body = write_feed(markets[0], alerts, site.settings.public_url, site.clock())
    modified = format_datetime(updated_at(alerts, site.clock()), usegmt=True)
    headers = site.cache_headers(FRESH_SECONDS) | {"Last-Modified": modified}
    return Response(body, media_type=MEDIA_TYPE, headers=headers)
