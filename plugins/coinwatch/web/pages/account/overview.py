"""The account page of a subscriber: all their alerts, and what happened since the last visit."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from coinwatch.notifications import suppression
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.services.account.alert_list import ListQueryDep
from coinwatch.web.services.account.page import DONE, Message, redirect_to_account_page, render_account_page
from coinwatch.web.sessions import AccountDep

router = APIRouter(prefix="/account", include_in_schema=False)


@router.get("")
def show_account_page(
    site: SiteDep,
    request: Request,
    account: AccountDep,
    query: ListQueryDep,
    done: Annotated[str, Query(max_length=20)] = "",
    alert: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """``done`` and ``alert`` say which action on which alert led here."""
    message = Message(DONE[done], int(alert) if alert.isdecimal() else None) if done in DONE else None
    return render_account_page(site, request, account, query, message)


@router.post("/address")
def lift_suppression(site: SiteDep, request: Request, account: AccountDep) -> Response:
    suppression.lift_suppression(site.engine, account)
    return redirect_to_account_page(request, "unsuppressed")
