"""What needs attention, and the state of the pipeline."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from coinwatch.access.api_keys import list_api_keys
from coinwatch.prices.ingest.cycles import list_cycles
from coinwatch.status import pipeline_status
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.services.operator.attention import find_problems
from coinwatch.web.services.operator.rendering import render_operator_page
from coinwatch.web.services.operator.reports import bytes_per_day, count_gaps, last_days, list_versions

router = APIRouter(include_in_schema=False)

GAP_DAYS = 7


@router.get("/operator")
def show_overview(site: SiteDep, request: Request) -> Response:
    now, settings = site.clock(), site.settings
    freshness = timedelta(seconds=settings.index_freshness_seconds)
    status = pipeline_status(site.engine, now, settings.emails_per_day, index_freshness=freshness)
    open_gaps = sum(row.gaps for row in count_gaps(site.engine, last_days(now, GAP_DAYS)) if row.status == "open")
    keys = list_api_keys(site.engine)
    values = {
        "problems": find_problems(status, open_gaps, keys, site.max_price_age, now),
        "status": status,
        "enabled": sum(exchange.enabled for exchange in status.exchanges),
        "cycle": next(iter(list_cycles(site.engine, limit=1)), None),
        "keys": sum(key.state(now) == "active" for key in keys),
        "open_gaps": open_gaps,
    }
    return render_operator_page(site, request, "overview", values)


@router.get("/operator/system")
def show_system(site: SiteDep, request: Request) -> Response:
    status = pipeline_status(site.engine, site.clock(), site.settings.emails_per_day)
    values = {
        "versions": list_versions(site.engine),
        "database_bytes": status.database_bytes,
        "tables": status.disk,
        "bytes_per_day": bytes_per_day(site.engine, site.clock()),
        "retention_days": site.settings.price_retention_days,
    }
    return render_operator_page(site, request, "system", values)
