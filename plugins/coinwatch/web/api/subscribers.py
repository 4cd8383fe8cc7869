"""For operators: what is stored about a subscriber, and erasing it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from coinwatch.alerts.users import get_user_id
from coinwatch.audit import record_action
from coinwatch.notifications.data_export import export
from coinwatch.notifications.erasure import erase
from coinwatch.web.dependencies import ActorDep, SiteDep
from coinwatch.web.schemas.errors import CHANGE, COMMON_RESPONSES, NOT_FOUND

router = APIRouter(prefix="/api/v1", tags=["operators"], responses=COMMON_RESPONSES)

Email = Annotated[str, Query(max_length=254, description="The subscriber's address.")]


@router.get("/subscribers", summary="Export all data about a subscriber", responses=NOT_FOUND)
def get_subscriber(site: SiteDep, actor: ActorDep, email: Email) -> dict[str, Any]:
    user_id = get_user_id(site.engine, email)
    if actor is not None:
        record_action(site.engine, actor, "subscriber.export", f"subscriber {user_id}")
    return export(site.engine, user_id, site.clock())


@router.delete(
    "/subscribers",
    summary="Erase a subscriber",
    status_code=204,
    responses=NOT_FOUND | CHANGE | {204: {"description": "Erased"}},
)
def delete_subscriber(site: SiteDep, actor: ActorDep, email: Email) -> Response:
    """Includes their subscriptions, alerts and emails."""
    erase(site.engine, get_user_id(site.engine, email), actor=actor)
    return Response(status_code=204)
