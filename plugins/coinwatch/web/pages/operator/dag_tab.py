"""The tab "coinwatch" on the DAGs in Airflow: what matters for each of coinwatch's own.

Airflow 3.3 shows a plugin's tab on all DAGs, so the page also has to say something about DAGs that are not ours.
"""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request, Response

from coinwatch.prices.ingest.cycles import list_cycles
from coinwatch.prices.ingest.data_quality import CHECKS
from coinwatch.status import exchange_health, pipeline_status
from coinwatch.web.dependencies import Site, SiteDep
from coinwatch.web.services.operator.reports import bytes_per_day, count_gaps, last_days, list_fetched_history

router = APIRouter(include_in_schema=False)

CYCLES = 10
GAP_DAYS = 7


def _collection(site: Site) -> dict[str, object]:
    return {"cycles": list_cycles(site.engine, limit=CYCLES), "exchanges": exchange_health(site.engine)}


def _history(site: Site) -> dict[str, object]:
    return {"fetched": list_fetched_history(site.engine)}


def _checks(site: Site) -> dict[str, object]:
    with site.query_slots.acquire():
        return {"findings": {name: check(site.engine, site.settings, site.clock()) for name, check in CHECKS.items()}}


def _gaps(site: Site) -> dict[str, object]:
    return {"gaps": count_gaps(site.engine, last_days(site.clock(), GAP_DAYS)), "gap_days": GAP_DAYS}


def _disk(site: Site) -> dict[str, object]:
    status = pipeline_status(site.engine, site.clock(), site.settings.emails_per_day)
    return {
        "database_bytes": status.database_bytes,
        "tables": status.disk,
        "bytes_per_day": bytes_per_day(site.engine, site.clock()),
        "retention_days": site.settings.price_retention_days,
    }


def _export(site: Site) -> dict[str, object]:
    return {"exports": site.settings.export_path is not None}


# What each of coinwatch's DAGs is about, and how to read it.
DAGS: Mapping[str, tuple[str, Callable[[Site], dict[str, object]]]] = {
    "collect_prices": ("Recent cycles and exchanges", _collection),
    "backfill_candles": ("Fetched history", _history),
    "repair_gaps": ("Gaps", _gaps),
    "check_data": ("Data checks", _checks),
    "maintain_database": ("Disk use", _disk),
    "export_history": ("Export", _export),
}


@router.get("/dags/{dag_id}")
def show_dag_tab(site: SiteDep, request: Request, dag_id: str) -> Response:
    title, read = DAGS.get(dag_id, (None, lambda _: {}))
    values = {"dag_id": dag_id, "title": title, "dags": {name: title for name, (title, _) in DAGS.items()}}
    return site.render(request, "operator/dag_tab.html", {**values, **read(site)}, status=200)
