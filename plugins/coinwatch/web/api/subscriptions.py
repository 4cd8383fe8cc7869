"""Creating subscriptions, and for operators: listing, changing and ending them."""

from dataclasses import replace
from typing import Annotated, Any, cast

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.rules import PERIODS, threshold_field
from coinwatch.alerts.subscriptions import Subscription, get_subscription, list_subscriptions, unsubscribe
from coinwatch.audit import Actor
from coinwatch.errors import InvalidRequest
from coinwatch.web.dependencies import ActorDep, ClientDep, Site, SiteDep, VisitorDep
from coinwatch.web.pagination import CursorParameter, decode_cursor, encode_cursor, next_page
from coinwatch.web.schemas.errors import ALREADY_EXISTS, CHANGE, COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.forms import SubscriptionForm
from coinwatch.web.schemas.parameters import SubscriptionId
from coinwatch.web.schemas.subscriptions import (
    CREATE_SUBSCRIPTION,
    SubscriptionChange,
    SubscriptionPending,
    SubscriptionResponse,
)
from coinwatch.web.services.subscriptions import build_request, create_subscription

SUBSCRIPTIONS_PER_PAGE = 100
MAX_SUBSCRIPTIONS_PER_PAGE = 1000

router = APIRouter(prefix="/api/v1", responses=COMMON_RESPONSES)


@router.post(
    "/subscriptions",
    tags=["subscriptions"],
    summary="Create a price alert",
    status_code=201,
    responses=CREATE_SUBSCRIPTION | NOT_FOUND | CHANGE,
)
def post_subscription(
    site: SiteDep,
    visitor: VisitorDep,
    actor: ActorDep,
    client: ClientDep,
    response: Response,
    form: SubscriptionForm,
    background: BackgroundTasks,
) -> SubscriptionResponse | SubscriptionPending:
    request = build_request(site.engine, form, site.clock())
    created = create_subscription(site, request, visitor, client, background, actor=actor)
    if created is None:
        response.status_code = 202
        return SubscriptionPending()
    return SubscriptionResponse.create(created)


@router.get(
    "/subscriptions",
    tags=["operators"],
    summary="List subscriptions, oldest first",
    responses={403: CHANGE[403]},
)
def get_subscriptions(
    request: Request,
    response: Response,
    site: SiteDep,
    email: Annotated[str | None, Query(max_length=254, description="Only those of this address. Default: all.")] = None,
    limit: Annotated[
        int, Query(ge=1, le=MAX_SUBSCRIPTIONS_PER_PAGE, description="Maximum number of subscriptions per page.")
    ] = SUBSCRIPTIONS_PER_PAGE,
    cursor: CursorParameter = None,
) -> list[SubscriptionResponse]:
    after_id = cast("int", decode_cursor(cursor, int)[0]) if cursor else None
    found = list_subscriptions(site.engine, email, after_id=after_id, limit=limit + 1)
    if len(found) > limit:
        response.headers.update(next_page(request, encode_cursor(found[limit - 1].id)))
    return [SubscriptionResponse.create(each) for each in found[:limit]]


@router.get(
    "/subscriptions/{subscription_id}",
    tags=["operators"],
    summary="One subscription",
    responses=NOT_FOUND | {403: CHANGE[403]},
)
def get_one_subscription(site: SiteDep, subscription_id: SubscriptionId) -> SubscriptionResponse:
    return SubscriptionResponse.create(get_subscription(site.engine, subscription_id))


@router.delete(
    "/subscriptions/{subscription_id}", tags=["operators"], summary="End a subscription", responses=NOT_FOUND | CHANGE
)
def delete_subscription(site: SiteDep, actor: ActorDep, subscription_id: SubscriptionId) -> SubscriptionResponse:
    return SubscriptionResponse.create(unsubscribe(site.engine, subscription_id, actor=actor))


@router.patch(
    "/subscriptions/{subscription_id}",
    tags=["operators"],
    summary="Change, pause, resume or snooze a subscription",
    responses=NOT_FOUND | ALREADY_EXISTS | CHANGE,
)
def patch_subscription(
    site: SiteDep, actor: ActorDep, subscription_id: SubscriptionId, change: SubscriptionChange
) -> SubscriptionResponse:
    """A changed rule applies to prices from now on."""
    given = {name: getattr(change, name) for name in change.model_fields_set}
    owner = changes.get_owner_id(site.engine, subscription_id)
    if not given or len({_group(name) for name in given}) > 1:
        raise InvalidRequest(
            "status", "Change either fields of the rule, or status, or snoozed_until: one of them per request."
        )
    if "status" in given:
        _set_status(site, owner, subscription_id, given["status"], actor)
    elif "snoozed_until" in given:
        changes.snooze(site.engine, owner, subscription_id, given["snoozed_until"], site.clock(), actor=actor)
    else:
        current = changes.get_own_subscription(site.engine, owner, subscription_id)
        rule = replace(current.rule, **_rule_fields(current, given))
        changes.change_rule(site.engine, owner, subscription_id, rule, site.clock(), actor=actor)
    return SubscriptionResponse.create(get_subscription(site.engine, subscription_id))


def _group(field: str) -> str:
    return field if field in {"status", "snoozed_until"} else "rule"


def _set_status(site: Site, owner: int, subscription_id: int, status: str | None, actor: Actor | None) -> None:
    if status == "paused":
        changes.pause(site.engine, owner, subscription_id, actor=actor)
    elif status == "active":
        changes.resume(site.engine, owner, subscription_id, site.clock(), only_paused=True, actor=actor)
    else:
        raise InvalidRequest("status", "status is null; it must be active or paused.")


def _rule_fields(current: Subscription, given: dict[str, Any]) -> dict[str, Any]:
    """The fields as ``Rule`` names them. Raises InvalidRequest for a field this kind of rule does not have."""
    number = threshold_field(current.kind)
    for name, value in given.items():
        if name in {"threshold_percent", "level"} - {number}:
            raise InvalidRequest(name, f"A rule of kind {current.kind} has no {name}; use {number}.")
        if value is None and name not in {"expires_at", "ladder_percent"}:
            raise InvalidRequest(name, f"{name} is null. Leave it out to keep its value.")
        wrong = "period" if current.period is None else "window_seconds"
        if name == wrong:
            raise InvalidRequest(name, f"A rule of kind {current.kind} has no {name}.")
    fields = {"threshold" if name == number else name: value for name, value in given.items()}
    if "period" in fields:
        fields["window_seconds"] = PERIODS[fields.pop("period")]
    return fields
