"""The form for a new alert, and its preview."""

import structlog
from fastapi import APIRouter, BackgroundTasks, Request, Response
from starlette.responses import RedirectResponse

from coinwatch.errors import AlreadyExists, InvalidRequest, QueryTimeout, RequestError
from coinwatch.web.dependencies import ClientDep, Site, SiteDep, VisitorDep
from coinwatch.web.error_handlers import TIMED_OUT, TooManyRequests, status_of
from coinwatch.web.services.alert_form import (
    EMPTY_FORM,
    Submitted,
    SubmittedForm,
    form_errors,
    parse_alert_form,
    parse_subscription_form,
)
from coinwatch.web.services.backtest_preview import Preview, build_preview, run_backtest
from coinwatch.web.services.choices import watched_choices
from coinwatch.web.services.subscriptions import create_subscription
from coinwatch.web.sessions import signed_in_session

router = APIRouter(include_in_schema=False)

log = structlog.get_logger()


@router.get("/subscribe")
def show_form(site: SiteDep, request: Request, coin: str = "", exchange: str = "", quote: str = "") -> Response:
    choices = watched_choices(site.engine)
    chosen = {"coin": choices.find_coin(coin), "exchange": exchange.lower(), "quote": choices.find_quote(quote)}
    return _form_page(site, request, EMPTY_FORM | chosen)


@router.post("/subscribe")
def create_alert(
    site: SiteDep,
    visitor: VisitorDep,
    client: ClientDep,
    request: Request,
    submitted: SubmittedForm,
    background: BackgroundTasks,
) -> Response:
    try:
        subscription_request = parse_subscription_form(site.engine, submitted, site.clock())
        created = create_subscription(
            site, subscription_request, visitor, client, background, signed_in_session(request)
        )
    except (InvalidRequest, AlreadyExists, TooManyRequests) as error:
        return _form_with_error(site, request, submitted, error)
    values = {"email": subscription_request.email, "created": created}
    return site.render(request, "alerts/subscribed.html", values, status=201 if created else 200)


@router.get("/subscribe/preview")
def redirect_to_form(request: Request) -> Response:
    """A preview can't be reloaded without the submitted form."""
    return RedirectResponse(f"{request.scope['root_path']}/subscribe", status_code=303)


@router.post("/subscribe/preview")
def show_preview(
    site: SiteDep, visitor: VisitorDep, client: ClientDep, request: Request, submitted: SubmittedForm
) -> Response:
    """Show the form as submitted, and how often the alert would have fired."""
    try:
        instrument, rule = parse_alert_form(site.engine, submitted, site.clock())
        tested = run_backtest(site, instrument, rule, visitor, client)
    except (InvalidRequest, TooManyRequests) as error:
        return _form_with_error(site, request, submitted, error)
    except QueryTimeout as error:
        log.warning("backtest timed out", kind=submitted["kind"], coin=submitted["coin"], error=str(error))
        return _form_page(site, request, submitted, {"": TIMED_OUT}, status=503)
    return _form_page(site, request, submitted, preview=build_preview(tested))


def _form_with_error(site: Site, request: Request, submitted: Submitted, error: RequestError) -> Response:
    page = _form_page(site, request, submitted, form_errors(error, submitted), status=status_of(error))
    if isinstance(error, TooManyRequests):
        page.headers["Retry-After"] = str(error.retry_after)
    return page


def _form_page(
    site: Site,
    request: Request,
    form: Submitted,
    errors: dict[str, str] | None = None,
    *,
    preview: Preview | None = None,
    status: int = 200,
) -> Response:
    choices = watched_choices(site.engine)
    values = {"choices": choices, "form": form, "errors": errors or {}, "preview": preview}
    return site.render(request, "alerts/subscribe.html", values, status=status)
