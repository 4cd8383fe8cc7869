"""The page that emails subscribers the link to their manage page."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from starlette.background import BackgroundTask

from coinwatch.access.rate_limits import LINK_REQUESTS
from coinwatch.alerts.subscriptions import check_address
from coinwatch.alerts.users import find_user_id
from coinwatch.errors import InvalidRequest
from coinwatch.web.dependencies import ClientDep, SiteDep, VisitorDep, get_site
from coinwatch.web.error_handlers import TooManyRequests, status_of
from coinwatch.web.schemas.forms import Text
from coinwatch.web.services.requested_emails import send_manage_link

router = APIRouter(include_in_schema=False)


@router.get("/manage")
def show_link_form(site: SiteDep, request: Request) -> Response:
    return site.render(request, "account/manage_link.html", {"email": "", "errors": {}, "link_error": None})


@router.post("/manage")
def request_link(
    site: SiteDep,
    visitor: VisitorDep,
    client: ClientDep,
    request: Request,
    email: Annotated[Text, Form(max_length=300)] = "",
) -> Response:
    """The response and its duration are the same for unknown addresses: the email is queued and sent afterwards."""
    try:
        address = check_address(email)
        if visitor is None or not visitor.operator:
            site.check_limit(LINK_REQUESTS, client)
    except (InvalidRequest, TooManyRequests) as error:
        values = {"email": email, "errors": {"email": str(error)}, "link_error": None}
        return site.render(request, "account/manage_link.html", values, status=status_of(error))
    find_user_id(site.engine, address)  # so that an unavailable database is reported right away
    response = site.render(request, "account/manage_link_sent.html", {"email": address})
    response.background = BackgroundTask(send_manage_link, site, address)
    return response


async def handle_invalid_link(request: Request, error: Exception) -> Response:
    """Show the form that emails a new link, and why this link is invalid."""
    values = {"email": "", "errors": {}, "link_error": str(error)}
    return get_site(request).render(request, "account/manage_link.html", values, status=422)
