"""Creating a subscription, for the form and the API."""

from datetime import datetime

from sqlalchemy import Engine

from coinwatch.alerts.rules import check_rule
from coinwatch.alerts.subscriptions import Subscription, SubscriptionRequest, check_address
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists
from coinwatch.notifications.subscribe import subscribe
from coinwatch.prices.catalog import find_instrument
from coinwatch.web.dependencies import Site
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.schemas.forms import SubscriptionForm


def build_request(engine: Engine, form: SubscriptionForm, now: datetime) -> SubscriptionRequest:
    """Validate the form's address and rule, and look up its instrument. Raises InvalidRequest and NotFound."""
    rule = form.rule()
    check_rule(rule, now)
    email = check_address(form.email)
    with transaction(engine) as connection:
        instrument = find_instrument(connection, form.coin, form.exchange, form.quote)
    return SubscriptionRequest(email, instrument, rule)


def create_subscription(
    site: Site, request: SubscriptionRequest, visitor: Visitor | None, client: str
) -> Subscription | None:
    """Create a subscription.

    For an operator it is active at once and returned. For anyone else the address is emailed a link to confirm it, and
    None is returned whether or not the subscription existed, so that nobody learns which addresses are known.

    Raises TooManyRequests, TooManySubscriptions and, for operators, AlreadyExists.
    """
    is_operator = visitor is not None and visitor.operator
    if not is_operator:
        site.subscription_limit.check(client)
    try:
        subscription = subscribe(site.engine, request, now=site.clock(), confirmed=is_operator)
    except AlreadyExists:
        if is_operator:
            raise
        return None
    return subscription if is_operator else None
