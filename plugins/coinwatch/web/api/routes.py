"""The REST API, version 1. Times are UTC (ISO 8601), percentages percent, prices in the quote currency."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from coinwatch.alerts.backtest import PastAlert
from coinwatch.alerts.subscriptions import Subscription, list_subscriptions, unsubscribe
from coinwatch.errors import NotFound
from coinwatch.prices.candles.time_grid import check_moment
from coinwatch.prices.history.latest import History, LatestPrice, latest_prices, price_history
from coinwatch.status import Status, pipeline_status
from coinwatch.web.dependencies import ClientHere, Site, SiteHere, VisitorHere
from coinwatch.web.pages.subscribe import take_subscription
from coinwatch.web.services.backtest_preview import DAYS, look_back
from coinwatch.web.services.choices import watched_choices
from coinwatch.web.services.subscription_requests import SubscriptionWish, WatchWish

MOST_DAYS = 90
NEWEST = 100


class Problem(BaseModel):
    """What went wrong: a code for programs, a sentence for people, and the wrong fields with a sentence each."""

    error: str = Field(examples=["invalid_request"])
    message: str = Field(examples=["That is not an e-mail address we can write to."])
    fields: dict[str, str] = Field(default_factory=dict)


class Accepted(BaseModel):
    """A request that waits for the address's consent."""

    status: str = Field(examples=["waiting_for_confirmation"])
    message: str


Answers = dict[int | str, dict[str, Any]]
COMMON: Answers = {
    422: {"model": Problem, "description": "A field is wrong."},
    503: {"model": Problem, "description": "Postgres is away."},
}
router = APIRouter(prefix="/api/v1", responses=COMMON)
UNKNOWN: Answers = {404: {"model": Problem, "description": "Unknown; the message says what there is."}}

SUBSCRIBING: Answers = {
    201: {"description": "Made by an operator, active at once."},
    202: {
        "model": Accepted,
        "description": "The address has been asked by mail. The same answer when it was there.",
    },
    409: {"model": Problem, "description": "There already (operators only)."},
    429: {"model": Problem, "description": "Too many from one place; Retry-After says when."},
}

TRYING: Answers = {
    429: {"model": Problem, "description": "Too many from one place, or two at work already; Retry-After says when."},
    503: {"model": Problem, "description": "Postgres is away, or it took too long to work out."},
}


class BacktestWish(WatchWish):
    days: int = Field(DAYS, ge=1, le=MOST_DAYS, description=f"How many days to look back, {MOST_DAYS} at most.")


class WouldHaveTold(BaseModel):
    """How often a rule would have told somebody, and the newest alerts first."""

    exchange: str
    base: str
    quote: str
    condition: str = Field(examples=["the price moves by 5 % or more within 1 hour"])
    start: datetime
    end: datetime
    known_since: datetime | None = Field(description="When the recorded values begin; null where there are none.")
    values: int = Field(description="How many values were judged.")
    alerts: int
    per_week: float = Field(description="Alerts per week since then; less than a day counts as one.")
    newest: list[PastAlert] = Field(description=f"At most {NEWEST}.")


Exchange = Annotated[str | None, Query(max_length=60, description="Code of an exchange, or 'index'.")]


@router.get("/prices", tags=["prices"], summary="Latest prices of everything watched")
def read_prices(site: SiteHere, exchange: Exchange = None) -> list[LatestPrice]:
    return latest_prices(site.engine, site.clock(), exchange=exchange)


@router.get("/prices/{coin}", tags=["prices"], summary="Latest prices of one coin, by code or name", responses=UNKNOWN)
def read_prices_of_coin(site: SiteHere, coin: str, exchange: Exchange = None) -> list[LatestPrice]:
    found = latest_prices(site.engine, site.clock(), coin=coin, exchange=exchange)
    if not found:
        _refuse_unknown_coin(site, coin)
    return found


@router.get("/history/{coin}", tags=["prices"], summary="Recorded prices of one coin, oldest first", responses=UNKNOWN)
def read_history(
    site: SiteHere,
    coin: str,
    exchange: Annotated[str | None, Query(max_length=60, description="Left out: the index.")] = None,
    quote: Annotated[str | None, Query(max_length=20, description="Left out: US dollar where there is one.")] = None,
    start: Annotated[AwareDatetime | None, Query(description="Left out: 24 hours before end.")] = None,
    end: Annotated[AwareDatetime | None, Query(description="Not included. Left out: now.")] = None,
    points: Annotated[int, Query(description="At most so many; more are thinned, peaks stay.")] = 500,
) -> History:
    until: datetime = end or site.clock()
    check_moment("end", until)
    since: datetime = start or until - timedelta(hours=24)
    return price_history(site.engine, coin, exchange, quote, start=since, end=until, points=points)


@router.post(
    "/subscriptions",
    tags=["subscriptions"],
    summary="Ask for a mail when a price moves",
    status_code=201,
    responses=SUBSCRIBING | UNKNOWN,
)
def make_subscription(
    site: SiteHere, visitor: VisitorHere, client: ClientHere, response: Response, wish: SubscriptionWish
) -> Subscription | Accepted:
    made = take_subscription(site, wish, visitor, client)
    if made is None:
        response.status_code = 202
        return Accepted(status="waiting_for_confirmation", message="Please open the link in the mail we have sent.")
    return made


@router.get(
    "/backtest",
    tags=["subscriptions"],
    summary="How often a rule would have told you in the last days",
    responses=TRYING | UNKNOWN,
)
def try_rule(
    site: SiteHere, visitor: VisitorHere, client: ClientHere, wish: Annotated[BacktestWish, Query()]
) -> WouldHaveTold:
    found = look_back(site, wish, visitor, client, wish.days)
    past = found.past
    return WouldHaveTold(
        exchange=past.exchange,
        base=past.base,
        quote=past.quote,
        condition=found.condition,
        start=past.start,
        end=past.end,
        known_since=past.first_at,
        values=past.quotes,
        alerts=len(past.alerts),
        per_week=past.per_week,
        newest=past.alerts[: -NEWEST - 1 : -1],
    )


@router.get("/subscriptions", tags=["operators"], summary="All subscriptions, or those of one address")
def read_subscriptions(
    site: SiteHere, email: Annotated[str | None, Query(max_length=254, description="Left out: all.")] = None
) -> list[Subscription]:
    return list_subscriptions(site.engine, email)


@router.delete("/subscriptions/{subscription_id}", tags=["operators"], summary="End a subscription", responses=UNKNOWN)
def end_subscription(site: SiteHere, subscription_id: int) -> Subscription:
    return unsubscribe(site.engine, subscription_id)


@router.get("/status", tags=["operators"], summary="How the pipeline is doing")
def read_status(site: SiteHere) -> Status:
    return pipeline_status(site.engine, site.clock(), site.settings.emails_per_day)


def _refuse_unknown_coin(site: Site, coin: str) -> None:
    """NotFound unless the coin is watched and merely has no price yet."""
    coins = watched_choices(site.engine).coins
    if coin.lower() not in {word.lower() for item in coins.items() for word in item}:
        raise NotFound(f"No coin {coin!r} is watched. Watched: {', '.join(coins) or 'nothing yet'}.")
