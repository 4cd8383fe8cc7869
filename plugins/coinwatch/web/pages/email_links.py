"""The pages behind the links in emails: confirming an alert, and unsubscribing.

A GET changes nothing, because email scanners follow links: the page has a button that POSTs.
"""

from fastapi import APIRouter, Request, Response

from coinwatch.alerts.subscriptions import Subscription, confirm, get_subscription, unsubscribe
from coinwatch.alerts.users import find_user_id
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.mail.links import MANAGE_SECONDS, manage_link, read_confirmation, read_unsubscribe
from coinwatch.web.dependencies import Site, SiteDep

router = APIRouter(include_in_schema=False)


@router.get("/confirm/{token}")
def show_confirmation(site: SiteDep, request: Request, token: str) -> Response:
    subscription = get_subscription(site.engine, read_confirmation(site.settings, token))
    template = "confirm.html" if subscription.status == "pending" else "confirmed.html"
    values = {"subscription": subscription, "manage_path": _manage_path(site, [subscription])}
    return site.render(request, template, values)


@router.post("/confirm/{token}")
def confirm_subscription(site: SiteDep, request: Request, token: str) -> Response:
    subscription = confirm(site.engine, read_confirmation(site.settings, token), site.clock())
    values = {"subscription": subscription, "manage_path": _manage_path(site, [subscription])}
    return site.render(request, "confirmed.html", values)


@router.get("/unsubscribe/{token}")
def show_unsubscribe(site: SiteDep, request: Request, token: str) -> Response:
    """An email about several alerts has one link for all of them. Some may have been deleted or ended since."""
    found = []
    for subscription_id in read_unsubscribe(site.settings, token):
        try:
            found.append(get_subscription(site.engine, subscription_id))
        except NotFound:
            continue
    running = [subscription for subscription in found if subscription.status in {"pending", "active", "paused"}]
    if running:
        return _unsubscribe_page(site, request, "unsubscribe.html", token, running)
    return _unsubscribe_page(site, request, "unsubscribed.html", token, found)


@router.post("/unsubscribe/{token}")
def unsubscribe_all(site: SiteDep, request: Request, token: str) -> Response:
    """The page's button, and one-click unsubscribe by email providers (RFC 8058), which only have the token."""
    ended = []
    for subscription_id in read_unsubscribe(site.settings, token):
        try:
            ended.append(unsubscribe(site.engine, subscription_id))
        except NotFound:
            continue
    return _unsubscribe_page(site, request, "unsubscribed.html", token, ended)


def _unsubscribe_page(
    site: Site, request: Request, template: str, token: str, subscriptions: list[Subscription]
) -> Response:
    try:
        read_unsubscribe(site.settings, token, MANAGE_SECONDS)
        manage_path = _manage_path(site, subscriptions)
    except InvalidRequest:  # the manage link of this email has expired, so this link must not lead to a new one
        manage_path = "/manage"
    return site.render(request, template, {"subscriptions": subscriptions, "manage_path": manage_path})


def _manage_path(site: Site, subscriptions: list[Subscription]) -> str:
    """Path of the subscriber's manage page; without a subscriber, of the page that emails a link to it."""
    subscriber_id = find_user_id(site.engine, subscriptions[0].email) if subscriptions else None
    if subscriber_id is None:
        return "/manage"
    return manage_link(site.settings, subscriber_id).removeprefix(site.settings.public_url)
