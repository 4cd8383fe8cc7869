"""The settings of a subscriber: when they are notified, and how."""

from datetime import time
from typing import Annotated, cast

from fastapi import APIRouter, Form, Query, Request, Response

from coinwatch.errors import InvalidRequest
from coinwatch.notifications.preferences import Digest, Preferences, set_preferences
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.schemas.forms import Text
from coinwatch.web.services.account.settings_page import redirect_to_settings, render_settings_page
from coinwatch.web.sessions import AccountDep

router = APIRouter(prefix="/account", include_in_schema=False)

TextField = Annotated[Text, Form(max_length=300)]


@router.get("/settings")
def show_settings(
    site: SiteDep, request: Request, account: AccountDep, done: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    return render_settings_page(site, request, account, done=done)


@router.post("/settings")
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
        return render_settings_page(site, request, account, form=form, errors=errors, status=422)
    return redirect_to_settings(request, "saved")


def _time_of_day(field: str, text: str) -> time | None:
    """The time entered, None if empty. Raises InvalidRequest."""
    if not text.strip():
        return None
    try:
        return time.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        raise InvalidRequest(field, f"{text!r} is not a time of day. Use the format 22:30.") from None
