"""The pages on which subscribers download and erase their data, and revoke the links to their page."""

import json

from fastapi import APIRouter, Request, Response

from coinwatch.alerts.users import revoke_links
from coinwatch.notifications.data_export import export
from coinwatch.notifications.erasure import erase
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.web.dependencies import SiteDep, SubscriberDep

router = APIRouter(include_in_schema=False)


@router.get("/manage/{token}/export")
def download_data(site: SiteDep, subscriber: SubscriberDep) -> Response:
    text = json.dumps(export(site.engine, subscriber, site.clock()), ensure_ascii=False)
    headers = {"Content-Disposition": 'attachment; filename="coinwatch.json"'}
    return Response(text + "\n", media_type="application/json", headers=headers)


@router.get("/manage/{token}/erase")
def show_erase(site: SiteDep, request: Request, token: str, subscriber: SubscriberDep) -> Response:
    values = {"token": token, "subscriber": get_subscriber(site.engine, subscriber)}
    return site.render(request, "account/manage_erase.html", values)


@router.post("/manage/{token}/erase")
def erase_data(site: SiteDep, request: Request, subscriber: SubscriberDep) -> Response:
    erase(site.engine, subscriber)
    return site.render(request, "account/manage_erased.html")


@router.post("/manage/{token}/sign-out")
def sign_out_everywhere(site: SiteDep, request: Request, subscriber: SubscriberDep) -> Response:
    """Revoke the links to this page in all earlier emails, including the one that opened it."""
    revoke_links(site.engine, subscriber)
    return site.render(request, "account/manage_signed_out.html")
