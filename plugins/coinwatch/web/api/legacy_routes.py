"""Two routes under the names that users of Coin Price Monitoring know; each does what its route in /api/v1 does."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from coinwatch.alerts.subscriptions import Subscription
from coinwatch.prices.history.latest import History
from coinwatch.web.api.routes import COMMON, SUBSCRIBING, Accepted, make_subscription, read_history
from coinwatch.web.dependencies import ClientHere, SiteHere, VisitorHere
from coinwatch.web.services.subscription_requests import Percent, SubscriptionWish

router = APIRouter(tags=["by their old names"], responses=COMMON)


class OldWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: str = Field(min_length=1, max_length=254, description="Where the alerts go.")
    coin_name: str = Field(min_length=1, max_length=60, description="Code or name of the coin.")
    percentage: Percent = Field(description="How far the price has to move, in percent.")


@router.post("/SubscribeCoin", status_code=201, summary="The same as POST /api/v1/subscriptions", responses=SUBSCRIBING)
def subscribe_coin(
    site: SiteHere, visitor: VisitorHere, client: ClientHere, response: Response, wish: OldWish
) -> Subscription | Accepted:
    plain = SubscriptionWish(email=wish.email, coin=wish.coin_name, threshold_percent=wish.percentage)
    return make_subscription(site, visitor, client, response, plain)


@router.get("/GetPriceHistory", summary="The same as GET /api/v1/history/{coin}")
def get_price_history(
    site: SiteHere, coin_name: Annotated[str, Query(max_length=60, description="Code or name of the coin.")]
) -> History:
    return read_history(site, coin_name)
