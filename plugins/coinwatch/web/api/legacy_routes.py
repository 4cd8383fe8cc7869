"""Two routes with the paths they had in Coin Price Monitoring. Each does the same as its counterpart in /api/v1."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Response

from coinwatch.prices.history.series import PriceSeries, read_series
from coinwatch.web.dependencies import ClientDep, SiteDep, VisitorDep
from coinwatch.web.schemas.errors import CHANGE, COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.forms import SubscriptionForm
from coinwatch.web.schemas.subscriptions import (
    CREATE_SUBSCRIPTION,
    LegacySubscription,
    SubscriptionPending,
    SubscriptionResponse,
)
from coinwatch.web.services.subscriptions import build_request, create_subscription

router = APIRouter(tags=["legacy"], responses=COMMON_RESPONSES)


@router.post(
    "/SubscribeCoin",
    status_code=201,
    summary="Same as POST /api/v1/subscriptions",
    responses=CREATE_SUBSCRIPTION | NOT_FOUND | CHANGE,
)
def subscribe_coin(
    site: SiteDep,
    visitor: VisitorDep,
    client: ClientDep,
    response: Response,
    body: LegacySubscription,
    background: BackgroundTasks,
) -> SubscriptionResponse | SubscriptionPending:
    form = SubscriptionForm(
        email=body.email,
        coin=body.coin_name,
        kind="change_since_last",
        threshold_percent=body.percentage,
        cooldown_seconds=0,
    )
    request = build_request(site.engine, form, site.clock())
    created = create_subscription(site, request, visitor, client, background)
    if created is None:
        response.status_code = 202
        return SubscriptionPending()
    return SubscriptionResponse.create(created)


@router.get("/GetPriceHistory", summary="Same as GET /api/v1/history/{coin}", responses=NOT_FOUND)
def get_price_history(
    site: SiteDep, coin_name: Annotated[str, Query(max_length=60, description="Code or name of the coin.")]
) -> PriceSeries:
    now = site.clock()
    return read_series(site.engine, coin_name, start=now - timedelta(hours=24), end=now)
