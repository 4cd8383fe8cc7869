"""Signing in to the operator pages of the standalone app. Inside Airflow, its own login decides."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from starlette.responses import RedirectResponse

from coinwatch.access.operator_sessions import LIFETIME, sign_in, sign_out
from coinwatch.access.rate_limits import OPERATOR_SIGN_INS
from coinwatch.web.dependencies import ClientDep, Site, SiteDep, VisitorDep
from coinwatch.web.error_handlers import TooManyRequests
from coinwatch.web.middleware.identification import OPERATOR_COOKIE
from coinwatch.web.schemas.forms import Text

router = APIRouter(include_in_schema=False)

HOME = "/operator"
OPERATOR_PAGE = re.compile(r"/operator(/[a-z-]+)*")


@router.get("/operator/sign-in")
def show_sign_in(
    site: SiteDep, request: Request, visitor: VisitorDep, next_path: Annotated[Text, Query(alias="next")] = HOME
) -> Response:
    if visitor is not None and visitor.operator:
        return _redirect(request, next_path)
    return _page(site, request, next_path)


@router.post("/operator/sign-in")
def start_session(
    site: SiteDep,
    request: Request,
    client: ClientDep,
    token: Annotated[Text, Form(max_length=500)] = "",
    next_path: Annotated[Text, Form(alias="next", max_length=200)] = HOME,
) -> Response:
    if site.inside_airflow:
        return _redirect(request, HOME)
    try:
        site.check_limit(OPERATOR_SIGN_INS, client)
    except TooManyRequests as error:
        page = _page(site, request, next_path, str(error), status=429)
        page.headers["Retry-After"] = str(error.retry_after)
        return page
    session = sign_in(site.engine, site.settings, token.strip(), site.clock())
    if session is None:
        message = "This is neither COINWATCH_API_TOKEN nor an API key with the scope operator."
        return _page(site, request, next_path, message, status=422)
    response = _redirect(request, next_path)
    response.set_cookie(
        OPERATOR_COOKIE,
        session,
        max_age=int(LIFETIME.total_seconds()),
        path=f"{request.scope['root_path']}/",
        secure=_is_https(site),
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/operator/sign-out")
def end_session(site: SiteDep, request: Request) -> Response:
    session = request.cookies.get(OPERATOR_COOKIE)
    if session is not None:
        sign_out(site.engine, site.settings, session)
    response = _redirect(request, f"{HOME}/sign-in")
    response.delete_cookie(
        OPERATOR_COOKIE,
        path=f"{request.scope['root_path']}/",
        secure=_is_https(site),
        httponly=True,
        samesite="strict",
    )
    return response


def _page(site: Site, request: Request, next_path: str, error: str | None = None, *, status: int = 200) -> Response:
    values = {"next_path": next_path if OPERATOR_PAGE.fullmatch(next_path) else HOME}
    errors = {"token": error} if error else {}
    return site.render(request, "operator/sign_in.html", {**values, "errors": errors}, status=status)


def _redirect(request: Request, path: str) -> RedirectResponse:
    """Redirect to an operator page; never elsewhere, whatever a link says."""
    inner = path if OPERATOR_PAGE.fullmatch(path) else HOME
    return RedirectResponse(f"{request.scope['root_path']}{inner}", status_code=303)


def _is_https(site: Site) -> bool:
    return site.settings.public_url.startswith("https://")
