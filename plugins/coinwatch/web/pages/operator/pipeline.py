"""Exchanges, cycles, gaps and data checks."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import AwareDatetime

from coinwatch.prices.backfill.gaps import retry_gaps
from coinwatch.prices.catalog import set_exchange_enabled
from coinwatch.prices.ingest.cycles import list_cycles
from coinwatch.prices.ingest.data_quality import CHECKS
from coinwatch.status import exchange_health
from coinwatch.web.dependencies import OperatorDep, SiteDep
from coinwatch.web.services.operator.gap_repair import GAP_REPAIR
from coinwatch.web.services.operator.rendering import redirect, render_operator_page
from coinwatch.web.services.operator.reports import MAX_ROWS, count_gaps, last_days

router = APIRouter(include_in_schema=False)

PAGE_SIZE = 50
Days = Annotated[int, Query(ge=1, le=366)]


@router.get("/operator/exchanges")
def show_exchanges(site: SiteDep, request: Request) -> Response:
    exchanges = sorted(exchange_health(site.engine), key=lambda row: (not row.enabled, not row.failures, row.code))
    return render_operator_page(site, request, "exchanges", {"exchanges": exchanges})


@router.post("/operator/exchanges/{code}/{action}")
def switch_exchange(
    site: SiteDep, actor: OperatorDep, request: Request, code: str, action: Literal["enable", "disable"]
) -> Response:
    set_exchange_enabled(site.engine, code, action == "enable", actor=actor)
    return redirect(request, "/operator/exchanges", f"{action}d")


@router.get("/operator/cycles")
def show_cycles(site: SiteDep, request: Request, before: AwareDatetime | None = None) -> Response:
    found = list_cycles(site.engine, before=before, limit=PAGE_SIZE + 1)
    values = {"cycles": found[:PAGE_SIZE], "has_older": len(found) > PAGE_SIZE, "before": before}
    return render_operator_page(site, request, "cycles", values)


@router.get("/operator/gaps")
def show_gaps(site: SiteDep, request: Request, days: Days = 7) -> Response:
    found = count_gaps(site.engine, last_days(site.clock(), days))
    values = {
        "gaps": found,
        "days": days,
        "truncated": len(found) == MAX_ROWS,
        "open": sum(row.gaps for row in found if row.status == "open"),
        "unavailable": sum(row.gaps for row in found if row.status == "unavailable"),
        "repairing": GAP_REPAIR.is_running,
    }
    return render_operator_page(site, request, "gaps", values)


@router.post("/operator/gaps/repair")
def start_repair(site: SiteDep, actor: OperatorDep, request: Request) -> Response:
    started = GAP_REPAIR.start(site.engine, site.settings, actor)
    return redirect(request, "/operator/gaps", "repairing" if started else "repair-running")


@router.post("/operator/gaps/retry")
def reopen_gaps(
    site: SiteDep, actor: OperatorDep, request: Request, days: Annotated[int, Form(ge=1, le=366)] = 7
) -> Response:
    since: datetime = last_days(site.clock(), days)
    reopened = retry_gaps(site.engine, since=since, actor=actor)
    return redirect(request, "/operator/gaps", "reopened", reopened, days=str(days))


@router.get("/operator/checks")
def show_checks(site: SiteDep, request: Request) -> Response:
    """Run the checks that the DAG check_data runs, without sending their gauges."""
    with site.query_slots.acquire():
        findings = {name: check(site.engine, site.settings, site.clock()) for name, check in CHECKS.items()}
    return render_operator_page(site, request, "checks", {"findings": findings})
