"""Taking a subscription, for the form and the API alike, and the pages around it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from coinwatch.alerts.subscriptions import Subscription, confirm, get_subscription, subscribe, unsubscribe
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound, RequestError
from coinwatch.mail.links import read_confirmation, read_unsubscribe
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.reading import latest_prices
from coinwatch.web.access import Visitor
from coinwatch.web.answers import TooManyRequests, status_of
from coinwatch.web.choices import watched_choices
from coinwatch.web.website import ClientHere, Site, SiteHere, VisitorHere
from coinwatch.web.wishes import BLANK, LastValue, SubscriptionWish, WatchWish, form_field, read_wish

router = APIRouter(include_in_schema=False)


def take_subscription(site: Site, wish: SubscriptionWish, visitor: Visitor | None, client: str) -> Subscription | None:
    """The subscription an operator made, active at once; for everybody else None: the address is asked by mail.

    None says the same whether the subscription is new or was there, so nobody learns whose address is known.
    Raises InvalidRequest, NotFound, TooManyRequests and, for operators, AlreadyExists.
    """
    trusted = visitor is not None and visitor.operator
    if not trusted:
        site.limit.take(client)
    try:
        made = subscribe(
            site.engine,
            email=wish.email,
            coin=wish.coin,
            rule=wish.rule(),
            exchange=wish.exchange,
            quote=wish.quote,
            now=site.clock(),
            confirmed=trusted,
        )
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
        status = 422 if isinstance(error, NotFound) else status_of(error)
        return form_page(site, request, typed, {field_of(error, wish): str(error)}, status=status)
    return site.page(request, "subscribed.html", {"wish": wish, "made": made}, status=201 if made else 200)


@router.get("/confirm/{token}")
def ask_to_confirm(site: SiteHere, request: Request, token: str) -> Response:
    """Only asks: mail scanners follow links, so a GET changes nothing."""
    found = get_subscription(site.engine, read_confirmation(site.settings, token))
    return site.page(request, "confirm.html", {"subscription": found})


@router.post("/confirm/{token}")
def do_confirm(site: SiteHere, request: Request, token: str) -> Response:
    found = confirm(site.engine, read_confirmation(site.settings, token), site.clock())
    return site.page(request, "confirmed.html", {"subscription": found})


@router.get("/unsubscribe/{token}")
def ask_to_unsubscribe(site: SiteHere, request: Request, token: str) -> Response:
    """Only asks, like the confirmation. A mail about several alerts has one link for all of them."""
    found = [get_subscription(site.engine, number) for number in read_unsubscribe(site.settings, token)]
    return site.page(request, "unsubscribe.html", {"subscriptions": found})


@router.post("/unsubscribe/{token}")
def do_unsubscribe(site: SiteHere, request: Request, token: str) -> Response:
    """The page's button, and one-click by mail programs (RFC 8058): the token is all it takes."""
    ended = [unsubscribe(site.engine, number) for number in read_unsubscribe(site.settings, token)]
    return site.page(request, "unsubscribed.html", {"subscriptions": ended})


def form_page(
    site: Site, request: Request, typed: dict[str, str], problems: dict[str, str] | None = None, status: int = 200
) -> Response:
    values = {"choices": watched_choices(site.engine), "typed": typed, "problems": problems or {}}
    return site.page(request, "subscribe.html", values, status=status)


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
