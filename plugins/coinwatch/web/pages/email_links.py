"""The pages behind the links in mails: consent to an alert, and leaving it.

A GET only asks, because mail scanners follow links; the page's button acts.
"""

from fastapi import APIRouter, Request, Response

from coinwatch.alerts.subscriptions import Subscription, confirm, get_subscription, unsubscribe
from coinwatch.alerts.users import find_user_id
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.mail.links import MANAGE_SECONDS, manage_link, read_confirmation, read_unsubscribe
from coinwatch.web.dependencies import Site, SiteHere

router = APIRouter(include_in_schema=False)


@router.get("/confirm/{token}")
def ask_to_confirm(site: SiteHere, request: Request, token: str) -> Response:
    found = get_subscription(site.engine, read_confirmation(site.settings, token))
    template = "confirm.html" if found.status == "pending" else "confirmed.html"
    return site.page(request, template, {"subscription": found, "own_page": _own_page(site, [found])})


@router.post("/confirm/{token}")
def do_confirm(site: SiteHere, request: Request, token: str) -> Response:
    found = confirm(site.engine, read_confirmation(site.settings, token), site.clock())
    return site.page(request, "confirmed.html", {"subscription": found, "own_page": _own_page(site, [found])})


@router.get("/unsubscribe/{token}")
def ask_to_unsubscribe(site: SiteHere, request: Request, token: str) -> Response:
    """A mail about several alerts has one link for all of them; what was deleted or ended since needs no ending."""
    found = []
    for number in read_unsubscribe(site.settings, token):
        try:
            found.append(get_subscription(site.engine, number))
        except NotFound:
            continue
    living = [subscription for subscription in found if subscription.status in {"pending", "active", "paused"}]
    if living:
        return _leaving_page(site, request, "unsubscribe.html", token, living)
    return _leaving_page(site, request, "unsubscribed.html", token, found)


@router.post("/unsubscribe/{token}")
def do_unsubscribe(site: SiteHere, request: Request, token: str) -> Response:
    """The page's button, and one-click by mail programs (RFC 8058): the token is all it takes."""
    ended = []
    for number in read_unsubscribe(site.settings, token):
        try:
            ended.append(unsubscribe(site.engine, number))
        except NotFound:
            continue
    return _leaving_page(site, request, "unsubscribed.html", token, ended)


def _leaving_page(site: Site, request: Request, template: str, token: str, found: list[Subscription]) -> Response:
    try:
        read_unsubscribe(site.settings, token, MANAGE_SECONDS)
        own_page = _own_page(site, found)
    except InvalidRequest:  # older than the manage link of its mail, and so no way to a new one
        own_page = "/manage"
    return site.page(request, template, {"subscriptions": found, "own_page": own_page})


def _own_page(site: Site, found: list[Subscription]) -> str:
    """Path of the page of the person whose these are; where none is left, of the form that mails a link to it."""
    person = find_user_id(site.engine, found[0].email) if found else None
    return manage_link(site.settings, person).removeprefix(site.settings.public_url) if person else "/manage"
