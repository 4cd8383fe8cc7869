"""The two routes of Coin Price Monitoring, with any of the field names its users know or guess."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from coinwatch.errors import InvalidRequest
from coinwatch.prices.history.series import read_series
from coinwatch.web.dependencies import ActorDep, ClientDep, SiteDep, VisitorDep
from coinwatch.web.schemas.errors import CHANGE, COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.forms import EmailAddress, Percent, SubscriptionForm, Text
from coinwatch.web.schemas.history import HistoryResponse
from coinwatch.web.schemas.subscriptions import CREATE_SUBSCRIPTION, SubscriptionPending, SubscriptionResponse
from coinwatch.web.services.subscriptions import build_request, create_subscription

router = APIRouter(tags=["legacy"], responses=COMMON_RESPONSES)


class SubscribeCoin(BaseModel):
    """An alert for a change between two updates. Fields may have any of the names listed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    email: EmailAddress = Field(
        validation_alias=AliasChoices("email", "mail", "email_address", "user_email"),
        description="Address to send the alerts to.",
    )
    coin: Text = Field(
        min_length=1,
        max_length=60,
        validation_alias=AliasChoices("coin", "coin_name", "coinName", "name", "symbol"),
        description="Code or name of the coin.",
    )
    percent: Percent = Field(
        validation_alias=AliasChoices(
            "percent", "percentage", "change", "change_percentage", "difference_percentage", "threshold"
        ),
        description="Change that triggers the alert, in percent.",
    )


async def read_fields(request: Request) -> SubscribeCoin:
    """The fields of a JSON body or a form. Raises RequestValidationError, and InvalidRequest for invalid JSON."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        try:
            fields = await request.json()
        except ValueError:
            raise InvalidRequest("", "The body is not valid JSON.") from None
    else:
        async with request.form() as form:
            fields = dict(form)
    try:
        return SubscribeCoin.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


def _documented_body() -> dict[str, Any]:
    example = {"email": "ada@example.org", "coin": "BTC", "percent": 5}
    properties = {
        name: {"type": kind, "description": field.description}
        for (name, field), kind in zip(SubscribeCoin.model_fields.items(), ("string", "string", "number"), strict=True)
    }
    schema = {"type": "object", "properties": properties, "required": list(properties), "example": example}
    media = ("application/json", "application/x-www-form-urlencoded")
    return {"requestBody": {"required": True, "content": {each: {"schema": schema} for each in media}}}


@router.post(
    "/SubscribeCoin",
    status_code=201,
    summary="Subscribe to changes between two updates",
    responses=CREATE_SUBSCRIPTION | NOT_FOUND | CHANGE,
    openapi_extra=_documented_body(),
)
def subscribe_coin(
    site: SiteDep,
    visitor: VisitorDep,
    actor: ActorDep,
    client: ClientDep,
    response: Response,
    background: BackgroundTasks,
    body: Annotated[SubscribeCoin, Depends(read_fields)],
) -> SubscriptionResponse | SubscriptionPending:
    """Also accepts ``coin_name``, ``percentage`` and other names of the fields, as JSON or as a form."""
    form = SubscriptionForm(
        email=body.email,
        coin=body.coin,
        kind="change_since_last",
        threshold_percent=body.percent,
        cooldown_seconds=0,
    )
    request = build_request(site.engine, form, site.clock())
    created = create_subscription(site, request, visitor, client, background, actor=actor)
    if created is None:
        response.status_code = 202
        return SubscriptionPending()
    return SubscriptionResponse.create(created)


@router.get(
    "/GetPriceHistory",
    summary="Prices of the last 24 hours, oldest first",
    response_model=HistoryResponse,
    responses=NOT_FOUND,
)
def get_price_history(
    site: SiteDep,
    coin: Annotated[str, Query(max_length=60, description="Code or name of the coin.", examples=["BTC"])] = "",
    coin_name: Annotated[str, Query(max_length=60, description="The same as coin.")] = "",
    name: Annotated[str, Query(max_length=60, description="The same as coin.")] = "",
    symbol: Annotated[str, Query(max_length=60, description="The same as coin.")] = "",
) -> Response:
    wanted = coin or coin_name or name or symbol
    if not wanted.strip():
        raise InvalidRequest("coin", "coin is missing; pass its code or name, as in ?coin=BTC.")
    now = site.clock()
    found = read_series(site.engine, wanted, start=now - timedelta(hours=24), end=now)
    return Response(to_json(found.as_dict()), media_type="application/json")
