"""The form that changes an alert, with the fields of the form for a new one; and duplicating an alert."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from coinwatch.alerts import subscription_changes as changes
from coinwatch.errors import AlreadyExists, InvalidRequest
from coinwatch.web.dependencies import ClientDep, SiteDep, VisitorDep
from coinwatch.web.schemas.parameters import SubscriptionId
from coinwatch.web.services.account.page import redirect_to_account_page
from coinwatch.web.services.alert_form.form import SubmittedForm, parse_alert_form, rule_to_form
from coinwatch.web.services.alert_form.page import AlertFormPage, form_of
from coinwatch.web.sessions import AccountDep

router = APIRouter(prefix="/account/alerts/{subscription_id}", include_in_schema=False)


@router.get("")
def show_edit_form(site: SiteDep, request: Request, account: AccountDep, subscription_id: SubscriptionId) -> Response:
    subscription = changes.get_own_subscription(site.engine, account, subscription_id)
    return AlertFormPage(site, request, subscription).show(form_of(subscription))


@router.post("")
def save_alert(
    site: SiteDep, request: Request, account: AccountDep, subscription_id: SubscriptionId, submitted: SubmittedForm
) -> Response:
    subscription = changes.get_own_subscription(site.engine, account, subscription_id)
    now = site.clock()
    try:
        instrument, rule = parse_alert_form(site.engine, submitted, now)
        if submitted["expires_on"] == rule_to_form(subscription.rule)["expires_on"]:
            rule = replace(rule, expires_at=subscription.expires_at)  # the form only has the day
        changed = changes.change_rule(site.engine, account, subscription_id, rule, now, instrument=instrument)
    except (InvalidRequest, AlreadyExists) as error:
        return AlertFormPage(site, request, subscription).show_error(submitted, error)
    return redirect_to_account_page(request, "changed", changed.id)


@router.get("/preview")
def redirect_to_edit_form(request: Request, subscription_id: SubscriptionId) -> Response:
    """A preview can't be reloaded without the submitted form."""
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/account/alerts/{subscription_id}", status_code=303)


@router.post("/preview")
def show_preview(
    site: SiteDep,
    visitor: VisitorDep,
    client: ClientDep,
    request: Request,
    account: AccountDep,
    subscription_id: SubscriptionId,
    submitted: SubmittedForm,
) -> Response:
    """Show the form as submitted, and how often the changed alert would have fired."""
    subscription = changes.get_own_subscription(site.engine, account, subscription_id)
    return AlertFormPage(site, request, subscription).show_preview(submitted, visitor, client)


@router.get("/duplicate")
def duplicate(site: SiteDep, request: Request, account: AccountDep, subscription_id: SubscriptionId) -> Response:
    """The form for a new alert, with the values of this one."""
    subscription = changes.get_own_subscription(site.engine, account, subscription_id)
    form = form_of(subscription)
    if subscription.expires_at and subscription.expires_at <= site.clock():
        form["expires_on"] = ""
    return AlertFormPage(site, request).show(form)
