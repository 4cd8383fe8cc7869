"""How often a rule would have fired."""

from typing import Annotated

from fastapi import APIRouter, Query

from coinwatch.web.dependencies import ClientDep, SiteDep, VisitorDep
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.subscriptions import BACKTEST, MAX_ALERTS, BacktestQuery, BacktestResponse
from coinwatch.web.services.backtest_preview import run_backtest

router = APIRouter(prefix="/api/v1", tags=["subscriptions"], responses=COMMON_RESPONSES)


@router.get("/backtest", summary="How often a rule would have fired in the last days", responses=BACKTEST | NOT_FOUND)
def backtest_rule(
    site: SiteDep, visitor: VisitorDep, client: ClientDep, query: Annotated[BacktestQuery, Query()]
) -> BacktestResponse:
    tested = run_backtest(site, query, visitor, client, query.days)
    result = tested.result
    return BacktestResponse(
        exchange=result.exchange,
        base=result.base,
        quote=result.quote,
        condition=tested.condition,
        start=result.start,
        end=result.end,
        known_since=result.first_at,
        values=result.quotes,
        alerts=len(result.alerts),
        per_week=result.per_week,
        newest=result.alerts[: -MAX_ALERTS - 1 : -1],
    )
