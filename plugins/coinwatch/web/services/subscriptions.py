"""Creates subscriptions, for the form and the API."""

from datetime import datetime

from fastapi import BackgroundTasks
from sqlalchemy import Engine

from coinwatch.access.rate_limits import NEW_SUBSCRIPTIONS
from coinwatch.alerts.subscriptions import Subscription, SubscriptionRequest
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists
from coinwatch.notifications.subscribe import subscribe
from coinwatch.prices.catalog import find_instrument
from coinwatch.web.dependencies import Site
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.schemas.forms import SubscriptionForm
from coinwatch.web.services.requested_emails import send_requested_emails


def build_request(engine: Engine, form: SubscriptionForm, now: datetime) -> SubscriptionRequest:
    """Look up the form's instrument, and validate its address and rule. Raises NotFound and InvalidRequest."""
    with transaction(engine) as connection:
        instrument = find_instrument(connection, form.coin, form.exchange, form.quote)
    return SubscriptionRequest.create(form.email, instrument, form.rule(), now)


def create_subscription(
    site: Site, request: SubscriptionRequest, visitor: Visitor | None, client: str, background: BackgroundTasks
) -> Subscription | None:
    """Create a subscription.

    For an operator it is active immediately and returned. For anyone else the address is emailed a link to confirm it,
    after the response. None is returned whether or not the subscription existed, so that the response doesn't reveal
    which addresses are known.

    Raises TooManyRequests, and for operators TooManySubscriptions and AlreadyExists.
    """
    is_operator = visitor is not None and visitor.operator
    if not is_operator:
        site.check_limit(NEW_SUBSCRIPTIONS, client)
        background.add_task(send_requested_emails, site, request.email)
    try:
        subscription = subscribe(site.engine, request, now=site.clock(), confirmed=is_operator)
    except AlreadyExists:
        if is_operator:
            raise
        return None
    return subscription if is_operator else None
