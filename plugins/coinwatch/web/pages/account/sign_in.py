"""Signing in with an emailed link, and out again. There are no passwords: who reads the mailbox owns the account.

A GET changes nothing: email scanners follow links, and another site could open a link of its own account in someone's
browser. The page behind a link names the address and has a button, which starts the session (docs/adr/0014).
"""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse

from coinwatch.access.rate_limits import LINK_REQUESTS
from coinwatch.alerts.subscriptions import check_address
from coinwatch.alerts.users import find_user_id, sign_out_everywhere
from coinwatch.errors import InvalidRequest
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.web.dependencies import ClientDep, SiteDep, SubscriberDep, VisitorDep, get_site
from coinwatch.web.error_handlers import TooManyRequests, status_of
from coinwatch.web.schemas.forms import Text
from coinwatch.web.services.requested_emails import send_manage_link
from coinwatch.web.sessions import (
    MAX_PATH,
    AccountDep,
    forget,
    is_own_path,
    remember_return_path,
    sign_in,
    sign_out,
    signed_in_session,
    signed_in_user,
    take_return_path,
)

router = APIRouter(include_in_schema=False)

ReturnPath = Annotated[Text, Form(alias="next", max_length=MAX_PATH)]


@router.get("/sign-in")
def show_form(
    site: SiteDep, request: Request, next_path: Annotated[str, Query(alias="next", max_length=MAX_PATH)] = ""
) -> Response:
    if signed_in_user(request) is not None:
        return _redirect(request, next_path if is_own_path(next_path) else "/account")
    return site.render(request, "account/sign_in.html", _form_values("", next_path))


@router.post("/sign-in")
def request_link(
    site: SiteDep,
    visitor: VisitorDep,
    client: ClientDep,
    request: Request,
    email: Annotated[Text, Form(max_length=300)] = "",
    next_path: ReturnPath = "",
) -> Response:
    """The response and its duration are the same for unknown addresses: the email is queued and sent afterward."""
    try:
        address = check_address(email)
        if visitor is None or not visitor.operator:
            site.check_limit(LINK_REQUESTS, client)
    except (InvalidRequest, TooManyRequests) as error:
        values = _form_values(email, next_path) | {"errors": {"email": str(error)}}
        return site.render(request, "account/sign_in.html", values, status=status_of(error))
    find_user_id(site.engine, address)  # so that an unavailable database is reported right away
    response = site.render(request, "account/link_sent.html", {"email": address})
    remember_return_path(request, response, next_path)
    response.background = BackgroundTask(send_manage_link, site, address)
    return response


@router.get("/manage")
def redirect_from_old_page(request: Request) -> Response:
    """The address of the account page before there were sessions."""
    return _redirect(request, "/account", status=308)


@router.get("/manage/{token}")
def show_link(site: SiteDep, request: Request, token: str, subscriber: SubscriberDep) -> Response:
    """The page behind the link in every email: a button that signs in, unless this browser is signed in already."""
    session = signed_in_session(request)
    if session is not None and session.user_id == subscriber:
        return _redirect(request, "/account")
    values = {
        "token": token,
        "email": get_subscriber(site.engine, subscriber).email,
        "other": session.email if session else None,
    }
    return site.render(request, "account/open_link.html", values)


@router.post("/manage/{token}")
def open_link(request: Request, subscriber: SubscriberDep) -> Response:
    """Start a session. The address of the page that follows has no token, which could be copied and shared."""
    response = RedirectResponse(f"{request.scope['root_path']}/account", status_code=303)
    response.headers["Location"] = f"{request.scope['root_path']}{take_return_path(request, response)}"
    sign_in(request, response, subscriber)
    return response


@router.get("/manage/{token}/{page:path}")
def redirect_from_old_pages(request: Request, token: str) -> Response:
    """Pages below an old link, as browsers may have stored them."""
    return _redirect(request, f"/manage/{token}")


@router.post("/sign-out")
def end_session(request: Request) -> Response:
    response = _redirect(request, "/sign-in")
    sign_out(request, response)
    return response


@router.post("/account/sign-out")
def end_all_sessions(site: SiteDep, request: Request, account: AccountDep) -> Response:
    """End the sessions in all browsers, and revoke the links to the account page in all earlier emails."""
    sign_out_everywhere(site.engine, account)
    response = site.render(request, "account/signed_out.html")
    forget(request, response)
    return response


async def handle_invalid_link(request: Request, error: Exception) -> Response:
    """Show the form that emails a new link, and why this link is invalid."""
    values = _form_values("", "") | {"link_error": str(error)}
    return get_site(request).render(request, "account/sign_in.html", values, status=422)


def _form_values(email: str, next_path: str) -> dict[str, object]:
    return {
        "email": email,
        "next_path": next_path if is_own_path(next_path) else "",
        "errors": {},
        "link_error": None,
    }


def _redirect(request: Request, path: str, status: int = 303) -> Response:
    return RedirectResponse(f"{request.scope['root_path']}{path}", status_code=status)
