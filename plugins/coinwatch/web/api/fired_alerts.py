"""The alerts that have fired, for operators and programs with the scope alerts:read."""

from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime

from coinwatch.alerts.fired_alerts import FiredAlert, list_fired_alerts
from coinwatch.time_range import validate_timestamp
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.formats.representations import AS_TABLE, OutputDep
from coinwatch.web.formats.tables import Table
from coinwatch.web.pagination import CursorParameter, decode_cursor, encode_cursor, next_page
from coinwatch.web.schemas.errors import CHANGE, COMMON_RESPONSES
from coinwatch.web.schemas.parameters import MAX_ID, CoinFilter, ExchangeFilter

ALERTS_PER_PAGE = 100
MAX_ALERTS = 1000

router = APIRouter(prefix="/api/v1", tags=["operators"], responses=COMMON_RESPONSES)


@router.get(
    "/alerts",
    summary="Fired alerts of all subscriptions, newest first",
    response_model=list[FiredAlert],
    responses=AS_TABLE | {403: CHANGE[403]},
)
def get_alerts(
    request: Request,
    site: SiteDep,
    output: OutputDep,
    subscription_id: Annotated[
        int | None, Query(ge=1, le=MAX_ID, description="Only those of this subscription.")
    ] = None,
    coin: CoinFilter = None,
    exchange: ExchangeFilter = None,
    start: Annotated[AwareDatetime | None, Query(description="Only alerts on prices from this time on.")] = None,
    end: Annotated[AwareDatetime | None, Query(description="Only alerts on prices before this time.")] = None,
    limit: Annotated[
        int, Query(ge=1, le=MAX_ALERTS, description="Maximum number of alerts per page.")
    ] = ALERTS_PER_PAGE,
    cursor: CursorParameter = None,
) -> Response:
    for name, moment in (("start", start), ("end", end)):
        if moment is not None:
            validate_timestamp(name, moment)
    before_id = cast("int", decode_cursor(cursor, int)[0]) if cursor else None
    found = list_fired_alerts(
        site.engine,
        limit=limit + 1,
        before_id=before_id,
        subscription_id=subscription_id,
        coin=coin,
        exchange=exchange,
        start=start,
        end=end,
    )
    page, more = found[:limit], len(found) > limit
    return output.respond(
        page,
        lambda: Table.of(FiredAlert, page),
        filename="alerts",
        headers=next_page(request, encode_cursor(page[-1].id) if more else None),
    )
