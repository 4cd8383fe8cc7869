"""The account page of a subscriber: alerts, history and settings.

Every button is a POST that redirects back to the page, so that reloading repeats nothing.
"""

from datetime import time
from typing import Annotated, cast

from fastapi import APIRouter, Form, Query, Request, Response

from coinwatch.errors import InvalidRequest
from coinwatch.notifications import suppression
from coinwatch.notifications.preferences import Digest, Preferences, set_preferences
from coinwatch.notifications.subscribers import get_subscriber, list_alerts
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.schemas.forms import Text
from coinwatch.web.services.account.page import (
    conditions,
    has_older_alerts,
    redirect_to_account_page,
    render_account_page,
    zone_or_utc,
)
from coinwatch.web.sessions import AccountDep

router = APIRouter(prefix="/account", include_in_schema=False)

TextField = Annotated[Text, Form(max_length=300)]


@router.get("")
def show_account_page(
    site: SiteDep,
    request: Request,
    account: AccountDep,
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    return render_account_page(site, request, account, done=done)


@router.get("/history")
def show_alert_history(
    site: SiteDep,
    request: Request,
    account: AccountDep,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> Response:
    """All fired alerts, a page at a time; ``before`` is the id of the last alert of the previous page."""
    found = get_subscriber(site.engine, account)
    alerts = list_alerts(site.engine, account, before=before)
    values = {
        "alerts": alerts,
        "conditions": conditions(found),
        "zone": zone_or_utc(found.preferences.timezone),
        "before": before,
        "has_older": has_older_alerts(site, account, alerts),
    }
    return site.render(request, "account/history.html", values)


@router.post("/preferences")
def save_preferences(
    site: SiteDep,
    request: Request,
    account: AccountDep,
    timezone: TextField = "",
    quiet_from: TextField = "",
    quiet_until: TextField = "",
    digest: TextField = "none",
) -> Response:
    form = {"timezone": timezone, "quiet_from": quiet_from, "quiet_until": quiet_until, "digest": digest}
    try:
        start, end = _time_of_day("quiet_from", quiet_from), _time_of_day("quiet_until", quiet_until)
        preferences = Preferences(timezone.strip() or "UTC", start, end, cast("Digest", digest))
        set_preferences(site.engine, account, preferences, site.clock())
    except InvalidRequest as error:
        errors = {error.field: str(error)}
        return render_account_page(site, request, account, form=form, errors=errors, status=422)
    return redirect_to_account_page(request, "saved")


@router.post("/address")
def lift_suppression(site: SiteDep, request: Request, account: AccountDep) -> Response:
    suppression.lift_suppression(site.engine, account)
    return redirect_to_account_page(request, "unsuppressed")


def _time_of_day(field: str, text: str) -> time | None:
    """The time entered, None if empty. Raises InvalidRequest."""
    if not text.strip():
        return None
    try:
        return time.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        raise InvalidRequest(field, f"{text!r} is not a time of day. Use the format 22:30.") from None
