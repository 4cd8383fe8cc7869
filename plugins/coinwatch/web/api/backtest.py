"""How often a rule would have fired."""

from typing import Annotated

from fastapi import APIRouter, Query

from coinwatch.web.dependencies import ClientDep, SiteDep, VisitorDep
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.subscriptions import MAX_ALERTS, BacktestQuery, BacktestResponse
from coinwatch.web.services.alert_form.preview import run_backtest
from coinwatch.web.services.subscriptions import find_watched

router = APIRouter(prefix="/api/v1", tags=["subscriptions"], responses=COMMON_RESPONSES)


@router.get("/backtest", summary="How often a rule would have fired in the last days", responses=NOT_FOUND)
def backtest_rule(
    site: SiteDep, visitor: VisitorDep, client: ClientDep, query: Annotated[BacktestQuery, Query()]
) -> BacktestResponse:
    instrument, rule = find_watched(site.engine, query, site.clock())
    tested = run_backtest(site, instrument, rule, visitor, client, query.days)
    return BacktestResponse.create(tested.result, tested.rule, limit=MAX_ALERTS)
