"""Taking a subscription, for the form and the API alike, and the pages of the form."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import RedirectResponse

from coinwatch.alerts.rules import check_rule
from coinwatch.alerts.subscriptions import Subscription, SubscriptionRequest, check_address
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound, QueryTimeout, RequestError
from coinwatch.notifications.subscribe import subscribe
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.latest import latest_prices
from coinwatch.web.dependencies import ClientHere, Site, SiteHere, VisitorHere
from coinwatch.web.error_handlers import TOO_LONG, TooManyRequests, status_of
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.services.backtest_preview import Preview, look_back, preview
from coinwatch.web.services.choices import watched_choices
from coinwatch.web.services.subscription_requests import (
    BLANK,
    LastValue,
    SubscriptionWish,
    WatchWish,
    form_field,
    read_watch,
    read_wish,
)

router = APIRouter(include_in_schema=False)

log = structlog.get_logger()


def take_subscription(site: Site, wish: SubscriptionWish, visitor: Visitor | None, client: str) -> Subscription | None:
    """The subscription an operator made, active at once; for everybody else None: the address is asked by mail.

    None says the same whether the subscription is new or was there, so nobody learns whose address is known.
    Raises InvalidRequest, NotFound, TooManyRequests and, for operators, AlreadyExists.
    """
    trusted = visitor is not None and visitor.operator
    check_rule(wish.rule(), site.clock())  # a slip of the finger costs nobody a turn
    check_address(wish.email)
    if not trusted:
        site.limit.take(client)
    try:
        with transaction(site.engine) as connection:
            instrument = find_instrument(connection, wish.coin, wish.exchange, wish.quote)
        requested = SubscriptionRequest(wish.email, instrument, wish.rule())
        made = subscribe(site.engine, requested, now=site.clock(), confirmed=trusted)
    except AlreadyExists:
        if trusted:
            raise
        return None
    return made if trusted else None


async def typed_into(request: Request) -> dict[str, str]:
    """What was typed into the form; what was left out as the form shows it before anybody typed."""
    form = await request.form(max_files=0)
    return {name: _text(form.get(name), blank) for name, blank in BLANK.items()}


TypedHere = Annotated[dict[str, str], Depends(typed_into)]


@router.get("/subscribe")
def show_form(site: SiteHere, request: Request, coin: str = "", exchange: str = "", quote: str = "") -> Response:
    named = {"coin": coin.upper(), "exchange": exchange.lower(), "quote": quote.upper()}
    return form_page(site, request, BLANK | named)


@router.post("/subscribe")
def send_form(site: SiteHere, visitor: VisitorHere, client: ClientHere, request: Request, typed: TypedHere) -> Response:
    wish, problems = read_wish(typed, newest_value(site, typed))
    if wish is None:
        return form_page(site, request, typed, problems, status=422)
    try:
        made = take_subscription(site, wish, visitor, client)
    except (InvalidRequest, NotFound, AlreadyExists, TooManyRequests) as error:
        return refused(site, request, typed, wish, error)
    return site.page(request, "subscribed.html", {"wish": wish, "made": made}, status=201 if made else 200)


@router.get("/subscribe/preview")
def back_to_form(request: Request) -> Response:
    """Where a browser comes that opens the page of a look back again without what was typed."""
    return RedirectResponse(f"{request.scope['root_path']}/subscribe", status_code=303)


@router.post("/subscribe/preview")
def preview_form(
    site: SiteHere, visitor: VisitorHere, client: ClientHere, request: Request, typed: TypedHere
) -> Response:
    """The form again, with all that was typed and how often the rule would have told somebody."""
    wish, problems = read_watch(typed, newest_value(site, typed))
    if wish is None:
        return form_page(site, request, typed, problems, status=422)
    try:
        found = look_back(site, wish, visitor, client)
    except (InvalidRequest, NotFound, TooManyRequests) as error:
        return refused(site, request, typed, wish, error)
    except QueryTimeout as error:
        log.warning("backtest took too long", kind=wish.kind, coin=wish.coin, exchange=wish.exchange, error=str(error))
        return form_page(site, request, typed, {"": TOO_LONG}, status=503)
    return form_page(site, request, typed, preview=preview(found))


def form_page(
    site: Site,
    request: Request,
    typed: dict[str, str],
    problems: dict[str, str] | None = None,
    *,
    preview: Preview | None = None,
    status: int = 200,
) -> Response:
    choices = watched_choices(site.engine)
    values = {"choices": choices, "typed": typed, "problems": problems or {}, "preview": preview}
    return site.page(request, "subscribe.html", values, status=status)


def refused(site: Site, request: Request, typed: dict[str, str], wish: WatchWish, error: RequestError) -> Response:
    """The form with what the library would not do, at the field that it is about."""
    status = 422 if isinstance(error, NotFound) else status_of(error)
    page = form_page(site, request, typed, {field_of(error, wish): str(error)}, status=status)
    if isinstance(error, TooManyRequests):
        page.headers["Retry-After"] = str(error.retry_after)
    return page


def newest_value(site: Site, typed: dict[str, str]) -> LastValue:
    """Looks up the newest value of what a form watches; None where there is none."""

    def look() -> float | None:
        try:
            with transaction(site.engine) as connection:
                found = find_instrument(connection, typed["coin"], typed["exchange"] or None, typed["quote"] or None)
        except NotFound:
            return None
        for row in latest_prices(site.engine, site.clock(), found.base, found.exchange, with_change=False):
            if row.quote == found.quote:
                return row.volume_24h if typed["metric"] == "volume_24h" else row.price
        return None

    return look


def field_of(error: RequestError, wish: WatchWish) -> str:
    """The field of the form to show an error at; the empty name is the form as a whole."""
    if isinstance(error, InvalidRequest):
        return form_field(error.field, wish.kind)
    if isinstance(error, NotFound):
        return "exchange" if wish.exchange else "quote" if wish.quote else "coin"
    return ""


def _text(value: object, blank: str) -> str:
    """No field needs more than three hundred characters; what is longer is too long with that many, too."""
    return value[:300] if isinstance(value, str) else blank
