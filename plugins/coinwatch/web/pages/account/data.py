"""The pages on which subscribers download and erase their data."""

import json

from fastapi import APIRouter, Request, Response

from coinwatch.notifications.data_export import export
from coinwatch.notifications.erasure import erase
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.sessions import AccountDep, forget

router = APIRouter(prefix="/account", include_in_schema=False)


@router.get("/export")
def download_data(site: SiteDep, account: AccountDep) -> Response:
    text = json.dumps(export(site.engine, account, site.clock()), ensure_ascii=False)
    headers = {"Content-Disposition": 'attachment; filename="coinwatch.json"'}
    return Response(text + "\n", media_type="application/json", headers=headers)


@router.get("/erase")
def show_erase(site: SiteDep, request: Request, account: AccountDep) -> Response:
    return site.render(request, "account/erase.html", {"subscriber": get_subscriber(site.engine, account)})


@router.post("/erase")
def erase_data(site: SiteDep, request: Request, account: AccountDep) -> Response:
    """Includes all sessions."""
    erase(site.engine, account)
    response = site.render(request, "account/erased.html")
    forget(request, response)
    return response
