"""The form that changes an alert."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from coinwatch.alerts import subscription_changes as changes
from coinwatch.errors import AlreadyExists, InvalidRequest
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.error_handlers import status_of
from coinwatch.web.schemas.parameters import SubscriptionId
from coinwatch.web.services.account.page import redirect_to_account_page
from coinwatch.web.services.alert_form import (
    EMPTY_RULE,
    SubmittedForm,
    form_errors,
    parse_alert_form,
    rule_to_form,
)
from coinwatch.web.sessions import AccountDep

router = APIRouter(prefix="/account", include_in_schema=False)


@router.get("/alerts/{subscription_id}")
def show_edit_form(site: SiteDep, request: Request, account: AccountDep, subscription_id: SubscriptionId) -> Response:
    subscription = changes.get_own_subscription(site.engine, account, subscription_id)
    form = rule_to_form(subscription.rule)
    values = {"subscription": subscription, "form": form, "errors": {}}
    return site.render(request, "account/edit.html", values)


@router.post("/alerts/{subscription_id}")
def save_rule(
    site: SiteDep,
    request: Request,
    account: AccountDep,
    subscription_id: SubscriptionId,
    submitted: SubmittedForm,
) -> Response:
    subscription = changes.get_own_subscription(site.engine, account, subscription_id)
    fixed = {name: getattr(subscription, name) for name in ("exchange", "quote", "kind", "metric")}
    form = {name: submitted[name] for name in EMPTY_RULE} | fixed | {"coin": subscription.base}
    try:
        _, rule = parse_alert_form(site.engine, form, site.clock())
        if form["expires_on"] == rule_to_form(subscription.rule)["expires_on"]:
            rule = replace(rule, expires_at=subscription.expires_at)  # the form only has the day
        changes.change_rule(site.engine, account, subscription_id, rule, site.clock())
    except (InvalidRequest, AlreadyExists) as error:
        values = {"subscription": subscription, "form": form, "errors": form_errors(error, form)}
        return site.render(request, "account/edit.html", values, status=status_of(error))
    return redirect_to_account_page(request, "changed", f"alert-{subscription_id}")
