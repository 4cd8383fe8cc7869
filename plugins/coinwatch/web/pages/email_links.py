"""The pages behind the links in emails: confirming an alert, and unsubscribing.

A GET changes nothing, because email scanners follow links: the page has a button that POSTs.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import Field

from coinwatch.alerts.subscriptions import (
    Subscription,
    confirm,
    get_subscription,
    list_own_subscriptions,
    list_pending,
    unsubscribe,
)
from coinwatch.alerts.users import find_linked_user
from coinwatch.errors import NotFound, TooManySubscriptions
from coinwatch.mail.links import Link, manage_link, opens_manage_page, read_confirmation, read_unsubscribe
from coinwatch.web.dependencies import Site, SiteDep, user_of_link
from coinwatch.web.sessions import sign_in

router = APIRouter(include_in_schema=False)


@router.get("/confirm/{token}")
def show_confirmation(site: SiteDep, request: Request, token: str) -> Response:
    """All alerts of the address that await confirmation, however many emails were sent about them."""
    link_key, link = read_confirmation(site.settings, token)
    user_id = user_of_link(site, link_key)
    if pending := list_pending(site.engine, user_id):
        return _confirmation_page(site, request, link, pending)
    return _confirmed_page(site, request, link, user_id)


@router.post("/confirm/{token}")
def confirm_alerts(
    site: SiteDep,
    request: Request,
    token: str,
    alert: Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]] | None, Form()] = None,
    chosen: Annotated[bool, Form()] = False,
) -> Response:
    """Confirm the alerts that were ticked (``chosen``: the page had boxes to tick), or all without boxes, and sign in.

    Whoever opens the link reads the mailbox, as with the link to the account page in the same email.
    """
    link_key, link = read_confirmation(site.settings, token)
    user_id = user_of_link(site, link_key)
    if chosen and not alert:
        pending = list_pending(site.engine, user_id)
        return _confirmation_page(site, request, link, pending, "Choose at least one alert.")
    try:
        confirmed = confirm(site.engine, user_id, site.clock(), alert if chosen else None)
    except TooManySubscriptions as error:
        return _confirmation_page(site, request, link, list_pending(site.engine, user_id), str(error))
    response = _confirmed_page(site, request, link, user_id, confirmed, account_path="/account")
    sign_in(request, response, user_id)
    return response


@router.get("/unsubscribe/{token}")
def show_unsubscribe(site: SiteDep, request: Request, token: str) -> Response:
    """An email about several alerts has one link for all of them. Some may have been deleted or ended since."""
    link = read_unsubscribe(site.settings, token)
    found = _linked_subscriptions(site, link)
    running = [subscription for subscription in found if subscription.status in {"pending", "active", "paused"}]
    template = "email_links/unsubscribe.html" if running else "email_links/unsubscribed.html"
    values = {"subscriptions": running or found, "manage_path": _manage_path(site, link)}
    return site.render(request, template, values)


@router.post("/unsubscribe/{token}")
def unsubscribe_all(site: SiteDep, request: Request, token: str) -> Response:
    """The page's button, and one-click unsubscribe by email providers (RFC 8058), which only have the token."""
    link = read_unsubscribe(site.settings, token)
    ended = [unsubscribe(site.engine, subscription.id) for subscription in _linked_subscriptions(site, link)]
    values = {"subscriptions": ended, "manage_path": _manage_path(site, link)}
    return site.render(request, "email_links/unsubscribed.html", values)


def _confirmation_page(
    site: Site, request: Request, link: Link, pending: list[Subscription], error: str | None = None
) -> Response:
    values = {"subscriptions": pending, "manage_path": _manage_path(site, link), "error": error}
    return site.render(request, "email_links/confirm.html", values, status=422 if error else 200)


def _confirmed_page(
    site: Site,
    request: Request,
    link: Link,
    user_id: int,
    confirmed: list[Subscription] | None = None,
    account_path: str | None = None,
) -> Response:
    """The alerts that were confirmed just now, or else the state of the one that the email was about.

    ``account_path`` is for a browser that is signed in by this response: it needs no link with a token.
    """
    found = confirmed or list_own_subscriptions(site.engine, user_id, link.subscription_ids)
    values = {"subscriptions": found, "manage_path": account_path or _manage_path(site, link)}
    return site.render(request, "email_links/confirmed.html", values)


def _linked_subscriptions(site: Site, link: Link) -> list[Subscription]:
    """The subscriptions that a link names, if they still exist.

    A link from before links had a key only has ids. A subscription that is newer than such a link has its id from a
    reset of the database, and may be another person's.
    """
    if link.link_key is not None:
        user = find_linked_user(site.engine, link.link_key)
        return list_own_subscriptions(site.engine, user.user_id, link.subscription_ids) if user else []
    found = []
    for subscription_id in link.subscription_ids:
        try:
            found.append(get_subscription(site.engine, subscription_id))
        except NotFound:
            continue
    signed_before = link.signed_at + timedelta(seconds=1)
    return [subscription for subscription in found if subscription.created_at < signed_before]


def _manage_path(site: Site, link: Link) -> str:
    """Path of the subscriber's page, which expires with the email that the link came from.

    If the page can't be reached by that email anymore, the path of the form that emails a new link.
    """
    if link.link_key is None or not opens_manage_page(link):
        return "/sign-in"
    user = find_linked_user(site.engine, link.link_key)
    if user is None or user.revoked:
        return "/sign-in"
    return manage_link(site.settings, link.link_key, link.signed_at).removeprefix(site.settings.public_url)
