"""How a subscriber is notified besides email: their webhook, and a test notification."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from starlette.background import BackgroundTask

from coinwatch.errors import InvalidRequest
from coinwatch.notifications import webhooks
from coinwatch.notifications.public_http import MAX_URL
from coinwatch.notifications.self_test import queue_test
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.schemas.forms import Text
from coinwatch.web.services.account.settings_page import redirect_to_settings, render_settings_page
from coinwatch.web.services.requested_emails import send_test
from coinwatch.web.sessions import AccountDep, SessionDep

router = APIRouter(prefix="/account", include_in_schema=False)


@router.post("/test")
def request_test(site: SiteDep, request: Request, session: SessionDep) -> Response:
    """Queue a test notification on all channels, and send it after the response."""
    try:
        queue_test(site.engine, site.settings, session.user_id, site.clock())
    except InvalidRequest as error:
        return render_settings_page(site, request, session.user_id, errors={"test": str(error)}, status=429)
    response = redirect_to_settings(request, "tested", "test")
    response.background = BackgroundTask(send_test, site, session.email)
    return response


@router.post("/webhook")
def save_webhook(
    site: SiteDep, request: Request, account: AccountDep, url: Annotated[Text, Form(max_length=2 * MAX_URL)] = ""
) -> Response:
    """An empty URL removes the webhook."""
    if not url.strip():
        webhooks.delete_webhook(site.engine, account)
        return redirect_to_settings(request, "no-webhook", "webhook")
    try:
        webhooks.set_webhook(site.engine, site.settings, account, url, site.clock())
    except InvalidRequest as error:
        return render_settings_page(site, request, account, form={"url": url}, errors={"url": str(error)}, status=422)
    return redirect_to_settings(request, "webhook", "webhook")


@router.post("/webhook/secret")
def rotate_secret(site: SiteDep, request: Request, account: AccountDep) -> Response:
    webhooks.rotate_secret(site.engine, account, site.clock())
    return redirect_to_settings(request, "secret", "webhook")
