"""Changes to alerts on the account page: pause, snooze, delete, end. Every button is a POST that redirects back."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response

from coinwatch.alerts import subscription_changes as changes
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.error_handlers import status_of
from coinwatch.web.schemas.parameters import SubscriptionId
from coinwatch.web.services.account.alert_list import ListQueryDep
from coinwatch.web.services.account.page import (
    SNOOZE_HOURS,
    Message,
    redirect_to_account_page,
    render_account_page,
)
from coinwatch.web.sessions import AccountDep

router = APIRouter(prefix="/account", include_in_schema=False)

Action = Literal["confirm", "pause", "resume", "snooze", "unsnooze", "delete"]
DONE: dict[Action, str] = {
    "pause": "paused",
    "resume": "resumed",
    "confirm": "confirmed",
    "snooze": "snoozed",
    "unsnooze": "unsnoozed",
    "delete": "deleted",
}


@router.post("/alerts/{subscription_id}/{action}")
def change_alert(
    site: SiteDep,
    request: Request,
    account: AccountDep,
    query: ListQueryDep,
    subscription_id: SubscriptionId,
    action: Action,
    hours: Annotated[int, Form(ge=1, le=max(SNOOZE_HOURS))] = 1,
) -> Response:
    engine, now = site.engine, site.clock()
    try:
        if action == "pause":
            changes.pause(engine, account, subscription_id)
        elif action in {"resume", "confirm"}:
            changes.resume(engine, account, subscription_id, now)
        elif action == "delete":
            changes.delete(engine, account, subscription_id)
        else:
            until = now + timedelta(hours=hours) if action == "snooze" else None
            changes.snooze(engine, account, subscription_id, until, now)
    except (InvalidRequest, NotFound, AlreadyExists) as error:
        message = Message(str(error), subscription_id, failed=True)
        return render_account_page(site, request, account, query, message, status=status_of(error))
    return redirect_to_account_page(request, DONE[action], None if action == "delete" else subscription_id, query)


@router.post("/pause")
def pause_all(site: SiteDep, request: Request, account: AccountDep, query: ListQueryDep) -> Response:
    changes.pause_all(site.engine, account)
    return redirect_to_account_page(request, "all-paused", query=query)


@router.post("/resume")
def resume_all(site: SiteDep, request: Request, account: AccountDep, query: ListQueryDep) -> Response:
    changes.resume_all(site.engine, account, site.clock())
    return redirect_to_account_page(request, "all-resumed", query=query)


@router.post("/unsubscribe")
def end_all(site: SiteDep, request: Request, account: AccountDep) -> Response:
    changes.unsubscribe_all(site.engine, account)
    return redirect_to_account_page(request, "ended")
