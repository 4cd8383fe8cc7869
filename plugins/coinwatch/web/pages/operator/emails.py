"""The outbox, suppressed addresses, and subscriptions by rule."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request, Response

from coinwatch.notifications.outbox import STATES, drop_emails, list_emails, retry_emails
from coinwatch.notifications.suppression import lift_suppressions, list_suppressed
from coinwatch.web.dependencies import OperatorDep, SiteDep
from coinwatch.web.schemas.forms import Text
from coinwatch.web.services.operator.rendering import redirect, render_operator_page
from coinwatch.web.services.operator.reports import count_rules

router = APIRouter(include_in_schema=False)

PAGE_SIZE = 50
MAX_ID = 2**63 - 1
Id = Annotated[int, Query(ge=1, le=MAX_ID)]
Ids = Annotated[list[Annotated[int, Query(ge=1, le=MAX_ID)]], Form(max_length=PAGE_SIZE)]


@router.get("/operator/outbox")
def show_outbox(
    site: SiteDep,
    request: Request,
    status: Annotated[str, Query(max_length=20)] = "",
    before: Id | None = None,
    addresses: bool = False,
) -> Response:
    """Recipients are hidden unless ``addresses`` is set: most problems can be solved without knowing them."""
    chosen = status if status in STATES else None
    found = list_emails(site.engine, status=chosen, before=before, limit=PAGE_SIZE + 1)
    values = {
        "emails": found[:PAGE_SIZE],
        "states": STATES,
        "chosen": chosen,
        "before": before,
        "addresses": addresses,
        "has_older": len(found) > PAGE_SIZE,
    }
    return render_operator_page(site, request, "outbox", values)


@router.post("/operator/outbox/{action}")
def change_emails(
    site: SiteDep,
    actor: OperatorDep,
    request: Request,
    action: Literal["retry", "drop", "retry-all", "drop-all"],
    ids: Ids = [],  # noqa: B006  FastAPI copies it
    status: Annotated[Text, Form(max_length=20)] = "",
) -> Response:
    """Without ids, ``retry`` and ``drop`` change nothing; the actions that change all failed emails say so."""
    chosen = [] if action.endswith("-all") else ids
    if not chosen and not action.endswith("-all"):
        number = 0
    elif action.startswith("retry"):
        number = retry_emails(site.engine, chosen, site.clock(), actor=actor)
    else:
        number = drop_emails(site.engine, chosen, actor=actor)
    done = "retried" if action.startswith("retry") else "dropped"
    query = {"status": status} if status in STATES else {}
    return redirect(request, "/operator/outbox", done, number, **query)


@router.get("/operator/suppressed")
def show_suppressed(site: SiteDep, request: Request) -> Response:
    return render_operator_page(site, request, "suppressed", {"suppressed": list_suppressed(site.engine)})


@router.post("/operator/suppressed/lift")
def lift(site: SiteDep, actor: OperatorDep, request: Request, email: Annotated[Text, Form(max_length=300)]) -> Response:
    _, resumed = lift_suppressions(site.engine, site.clock(), email=email, actor=actor)
    return redirect(request, "/operator/suppressed", "lifted", resumed)


@router.get("/operator/rules")
def show_rules(site: SiteDep, request: Request) -> Response:
    return render_operator_page(site, request, "rules", {"rules": count_rules(site.engine)})
