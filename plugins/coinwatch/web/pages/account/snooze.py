"""Snoozing or pausing one alert by the link in its email, without signing in.

A GET changes nothing, because email scanners follow links: the page has one button that POSTs.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.subscriptions import Subscription
from coinwatch.alerts.users import find_linked_user
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.mail.links import read_snooze
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.web.dependencies import Site, SiteDep
from coinwatch.web.services.account.page import SNOOZE_HOURS
from coinwatch.web.services.account.time_zones import zone_or_utc

router = APIRouter(include_in_schema=False)

PAUSE = 0  # in place of a number of hours
CHOICES = SNOOZE_HOURS | {PAUSE: "until I resume it"}
DEFAULT_HOURS = 24


@router.get("/snooze/{token}")
def show_snooze(
    site: SiteDep, request: Request, token: str, hours: Annotated[str, Query(max_length=4)] = ""
) -> Response:
    """``hours`` is how long, PAUSE to pause; another value, as a program that shortens links may leave, is a day."""
    own = _find(site, token)
    chosen = next((each for each in CHOICES if str(each) == hours), DEFAULT_HOURS)
    return _page(site, request, token, own, chosen)


@router.post("/snooze/{token}")
def snooze_alert(site: SiteDep, request: Request, token: str, hours: Annotated[int, Form()]) -> Response:
    own, now = _find(site, token), site.clock()
    if hours not in CHOICES:
        raise InvalidRequest("hours", f"hours is {hours}; it must be one of {', '.join(map(str, CHOICES))}.")
    try:
        if hours == PAUSE:
            own = changes.pause(site.engine, own.user_id, own.id)
        else:
            own = changes.snooze(site.engine, own.user_id, own.id, now + timedelta(hours=hours), now)
    except InvalidRequest:  # it was paused or has ended: the page says so
        return _page(site, request, token, own, hours, status=409)
    return _page(site, request, token, own, hours, done=True)


def _find(site: Site, token: str) -> Subscription:
    """The alert that a link names. The link keeps working after signing out everywhere, as it can only silence it.

    Raises InvalidRequest for an invalid link, and NotFound if the alert was deleted.
    """
    link_key, link = read_snooze(site.settings, token)
    user = find_linked_user(site.engine, link_key)
    if user is None:
        raise NotFound("This alert doesn't exist. It may have been deleted.")
    return changes.get_own_subscription(site.engine, user.user_id, link.subscription_ids[0])


def _page(
    site: Site, request: Request, token: str, own: Subscription, hours: int, *, done: bool = False, status: int = 200
) -> Response:
    values = {
        "token": token,
        "subscription": own,
        "state": own.state(site.clock()),
        "hours": hours,
        "choices": CHOICES,
        "done": done,
        "zone": zone_or_utc(get_subscriber(site.engine, own.user_id).preferences.timezone),
    }
    return site.render(request, "email_links/snooze.html", values, status=status)
