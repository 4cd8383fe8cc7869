"""For operators: what is stored about a subscriber, and erasing it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from coinwatch.alerts.users import get_user_id
from coinwatch.notifications.data_export import export
from coinwatch.notifications.erasure import erase
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.schemas.errors import CHANGE, COMMON_RESPONSES, NOT_FOUND

router = APIRouter(prefix="/api/v1", tags=["operators"], responses=COMMON_RESPONSES)

Email = Annotated[str, Query(max_length=254, description="The subscriber's address.")]


@router.get("/subscribers", summary="Export all data about a subscriber", responses=NOT_FOUND)
def get_subscriber(site: SiteDep, email: Email) -> dict[str, Any]:
    return export(site.engine, get_user_id(site.engine, email), site.clock())


@router.delete(
    "/subscribers",
    summary="Erase a subscriber",
    status_code=204,
    responses=NOT_FOUND | CHANGE | {204: {"description": "Erased"}},
)
def delete_subscriber(site: SiteDep, email: Email) -> Response:
    """Includes their subscriptions, alerts and emails."""
    erase(site.engine, get_user_id(site.engine, email))
    return Response(status_code=204)
