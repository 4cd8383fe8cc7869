"""The API's routes for operators about people and their subscriptions."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.rules import Direction
from coinwatch.alerts.subscriptions import Subscription, get_subscription
from coinwatch.alerts.users import get_user_id
from coinwatch.errors import InvalidRequest
from coinwatch.notifications.data_export import export
from coinwatch.notifications.erasure import erase
from coinwatch.web.api.routes import COMMON, UNKNOWN, Answers, Problem
from coinwatch.web.dependencies import Site, SiteHere

router = APIRouter(prefix="/api/v1", tags=["operators"], responses=COMMON)

TAKEN: Answers = {409: {"model": Problem, "description": "The person has that rule already."}}
GONE: Answers = {204: {"description": "Nothing is known of the address any more."}}

Email = Annotated[str, Query(max_length=254, description="The person's address.")]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


class SubscriptionChange(BaseModel):
    """What to change: fields of the rule, or the status, or the sleep. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    threshold_percent: float | None = Field(None, description="How far the value has to move, in percent.")
    level: float | None = Field(None, description="The price (or volume) to cross, for the kind crosses.")
    direction: Direction | None = Field(None, description="Which way the value has to move: up, down or either.")
    window_seconds: int | None = Field(None, description="Length of the window.")
    cooldown_seconds: int | None = Field(None, description="Seconds of silence after an alert; 0 for none.")
    repeat: bool | None = Field(None, description="False ends the subscription with its first alert.")
    expires_at: AwareDatetime | None = Field(None, description="When it ends by itself; null for never.")
    status: Literal["active", "paused"] | None = Field(None, description="Pause it, or resume what is paused.")
    snoozed_until: AwareDatetime | None = Field(None, description="Silent until then; null wakes it.")


@router.patch("/subscriptions/{subscription_id}", summary="Change, pause, resume or snooze", responses=UNKNOWN | TAKEN)
def change_subscription(site: SiteHere, subscription_id: Number, change: SubscriptionChange) -> Subscription:
    """A changed rule judges what is observed from now on."""
    given = {name: getattr(change, name) for name in change.model_fields_set}
    owner = changes.owner_of(site.engine, subscription_id)
    if not given or len({_part(name) for name in given}) > 1:
        raise InvalidRequest(
            "status", "Change fields of the rule, or the status, or snoozed_until; one of the three in a call."
        )
    if "status" in given:
        _set_status(site, owner, subscription_id, given["status"])
    elif "snoozed_until" in given:
        changes.snooze(site.engine, owner, subscription_id, given["snoozed_until"], site.clock())
    else:
        own = changes.own_subscription(site.engine, owner, subscription_id)
        rule = replace(own.rule, **_rule_fields(own, given))
        changes.change_rule(site.engine, owner, subscription_id, rule, site.clock())
    return get_subscription(site.engine, subscription_id)


@router.get("/people", summary="Everything that is known of a person", responses=UNKNOWN)
def read_person(site: SiteHere, email: Email) -> dict[str, Any]:
    return export(site.engine, get_user_id(site.engine, email), site.clock())


@router.delete("/people", summary="Erase a person", status_code=204, responses=UNKNOWN | GONE)
def erase_person(site: SiteHere, email: Email) -> Response:
    """With their subscriptions, alerts and mails."""
    erase(site.engine, get_user_id(site.engine, email))
    return Response(status_code=204)


def _part(field: str) -> str:
    return field if field in {"status", "snoozed_until"} else "rule"


def _set_status(site: Site, owner: int, subscription_id: int, status: str | None) -> None:
    if status == "paused":
        changes.pause(site.engine, owner, subscription_id)
    elif status == "active":
        changes.resume(site.engine, owner, subscription_id, site.clock(), only_paused=True)
    else:
        raise InvalidRequest("status", "The status is one of active, paused.")


def _rule_fields(own: Subscription, given: dict[str, Any]) -> dict[str, Any]:
    """The fields as ``Rule`` names them; InvalidRequest for one that this kind lacks or that cannot be empty."""
    number, other = ("level", "threshold_percent") if own.kind == "crosses" else ("threshold_percent", "level")
    for name, value in given.items():
        if name == other:
            raise InvalidRequest(name, f"A rule of the kind {own.kind} has no {name}, but {number}.")
        if value is None and name != "expires_at":
            raise InvalidRequest(name, "This cannot be empty. Leave it out to keep what it is.")
    return {"threshold" if name == number else name: value for name, value in given.items()}
