"""Changes to alerts on the manage page: edit, pause, snooze, delete, end."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response

from coinwatch.alerts import subscription_changes as changes
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound
from coinwatch.web.dependencies import SiteDep, SubscriberDep
from coinwatch.web.error_handlers import status_of
from coinwatch.web.schemas.parameters import SubscriptionId
from coinwatch.web.services.alert_form import (
    EMPTY_RULE,
    SubmittedForm,
    form_errors,
    parse_alert_form,
    rule_to_form,
)
from coinwatch.web.services.manage_page import SNOOZE_HOURS, redirect_to_manage_page, render_manage_page

router = APIRouter(include_in_schema=False)

Action = Literal["confirm", "pause", "resume", "snooze", "unsnooze", "delete"]
DONE: dict[Action, str] = {
    "pause": "paused",
    "resume": "resumed",
    "confirm": "confirmed",
    "snooze": "snoozed",
    "unsnooze": "unsnoozed",
    "delete": "deleted",
}


@router.get("/manage/{token}/alerts/{subscription_id}")
def show_edit_form(
    site: SiteDep, request: Request, token: str, subscriber: SubscriberDep, subscription_id: SubscriptionId
) -> Response:
    subscription = changes.get_own_subscription(site.engine, subscriber, subscription_id)
    form = rule_to_form(subscription.rule)
    values = {"token": token, "subscription": subscription, "form": form, "errors": {}}
    return site.render(request, "account/manage_edit.html", values)


@router.post("/manage/{token}/alerts/{subscription_id}")
def save_rule(
    site: SiteDep,
    request: Request,
    token: str,
    subscriber: SubscriberDep,
    subscription_id: SubscriptionId,
    submitted: SubmittedForm,
) -> Response:
    subscription = changes.get_own_subscription(site.engine, subscriber, subscription_id)
    fixed = {name: getattr(subscription, name) for name in ("exchange", "quote", "kind", "metric")}
    form = {name: submitted[name] for name in EMPTY_RULE} | fixed | {"coin": subscription.base}
    try:
        _, rule = parse_alert_form(site.engine, form, site.clock())
        if form["expires_on"] == rule_to_form(subscription.rule)["expires_on"]:
            rule = replace(rule, expires_at=subscription.expires_at)  # the form only has the day
        changes.change_rule(site.engine, subscriber, subscription_id, rule, site.clock())
    except (InvalidRequest, AlreadyExists) as error:
        values = {"token": token, "subscription": subscription, "form": form, "errors": form_errors(error, form)}
        return site.render(request, "account/manage_edit.html", values, status=status_of(error))
    return redirect_to_manage_page(request, token, "changed", f"alert-{subscription_id}")


@router.post("/manage/{token}/alerts/{subscription_id}/{action}")
def change_alert(
    site: SiteDep,
    request: Request,
    token: str,
    subscriber: SubscriberDep,
    subscription_id: SubscriptionId,
    action: Action,
    hours: Annotated[int, Form(ge=1, le=max(SNOOZE_HOURS))] = 1,
) -> Response:
    engine, now = site.engine, site.clock()
    try:
        if action == "pause":
            changes.pause(engine, subscriber, subscription_id)
        elif action in {"resume", "confirm"}:
            changes.resume(engine, subscriber, subscription_id, now)
        elif action == "delete":
            changes.delete(engine, subscriber, subscription_id)
        else:
            until = now + timedelta(hours=hours) if action == "snooze" else None
            changes.snooze(engine, subscriber, subscription_id, until, now)
    except (InvalidRequest, NotFound, AlreadyExists) as error:
        return render_manage_page(site, request, token, subscriber, error=str(error), status=status_of(error))
    anchor = "" if action == "delete" else f"alert-{subscription_id}"
    return redirect_to_manage_page(request, token, DONE[action], anchor)


@router.post("/manage/{token}/resume")
def resume_all(site: SiteDep, request: Request, token: str, subscriber: SubscriberDep) -> Response:
    changes.resume_all(site.engine, subscriber, site.clock())
    return redirect_to_manage_page(request, token, "all-resumed")


@router.post("/manage/{token}/unsubscribe")
def end_all(site: SiteDep, request: Request, token: str, subscriber: SubscriberDep) -> Response:
    changes.unsubscribe_all(site.engine, subscriber)
    return redirect_to_manage_page(request, token, "ended")
