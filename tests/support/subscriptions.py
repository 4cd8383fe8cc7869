"""Subscribing as an operator types it: the coin by name."""

from datetime import datetime

import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import Subscription, SubscriptionRequest, confirm, get_subscription
from coinwatch.database import transaction
from coinwatch.notifications.subscribe import subscribe as subscribe_request
from coinwatch.prices.catalog import find_instrument


def confirm_one(engine: sa.Engine, subscription_id: int, now: datetime) -> Subscription:
    """Confirm one subscription, as the page of a confirmation email does; return it as it is then."""
    subscription = get_subscription(engine, subscription_id)
    confirm(engine, subscription.user_id, now, [subscription_id])
    return get_subscription(engine, subscription_id)


def subscribe(
    engine: sa.Engine,
    *,
    email: str,
    coin: str,
    rule: Rule,
    exchange: str | None = None,
    quote: str | None = None,
    now: datetime,
    confirmed: bool,
) -> Subscription:
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
    request = SubscriptionRequest.create(email, instrument, rule, now)
    return subscribe_request(engine, request, now=now, confirmed=confirmed)
