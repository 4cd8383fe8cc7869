"""The form for a new alert, and its preview."""

from fastapi import APIRouter, BackgroundTasks, Request, Response
from starlette.responses import RedirectResponse

from coinwatch.errors import AlreadyExists, InvalidRequest
from coinwatch.web.dependencies import ActorDep, ClientDep, SiteDep, VisitorDep
from coinwatch.web.error_handlers import TooManyRequests
from coinwatch.web.services.alert_form.form import EMPTY_FORM, SubmittedForm, parse_subscription_form
from coinwatch.web.services.alert_form.page import AlertFormPage
from coinwatch.web.services.choices import watched_choices
from coinwatch.web.services.subscriptions import create_subscription
from coinwatch.web.sessions import signed_in_session

router = APIRouter(include_in_schema=False)


@router.get("/subscribe")
def show_form(site: SiteDep, request: Request, coin: str = "", exchange: str = "", quote: str = "") -> Response:
    choices = watched_choices(site.engine)
    chosen = {"coin": choices.find_coin(coin), "exchange": exchange.lower(), "quote": choices.find_quote(quote)}
    return AlertFormPage(site, request).show(EMPTY_FORM | chosen)


@router.post("/subscribe")
def create_alert(
    site: SiteDep,
    visitor: VisitorDep,
    actor: ActorDep,
    client: ClientDep,
    request: Request,
    submitted: SubmittedForm,
    background: BackgroundTasks,
) -> Response:
    try:
        subscription_request = parse_subscription_form(site.engine, submitted, site.clock())
        created = create_subscription(
            site, subscription_request, visitor, client, background, signed_in_session(request), actor
        )
    except (InvalidRequest, AlreadyExists, TooManyRequests) as error:
        return AlertFormPage(site, request).show_error(submitted, error)
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
    return AlertFormPage(site, request).show_preview(submitted, visitor, client)
