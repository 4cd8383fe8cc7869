"""Creates subscriptions and queues their confirmation email."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from coinwatch.alerts.subscriptions import Subscription, SubscriptionRequest, add_subscription
from coinwatch.audit import Actor, record
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists
from coinwatch.notifications.requested_emails import queue_confirmation, queue_manage_link


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The result of several requests: how many subscriptions were added, and how many existed already."""

    added: int
    existed: int


def subscribe(
    engine: Engine, request: SubscriptionRequest, *, now: datetime, confirmed: bool, actor: Actor | None = None
) -> Subscription:
    """Subscribe an address to alerts by a rule on one instrument.

    ``confirmed`` is for operators, who vouch for the address: the subscription is active immediately. Otherwise it is
    pending and a confirmation email is queued, even if the address was suppressed.

    Raises TooManySubscriptions if ``confirmed``, and AlreadyExists if the address has this rule. In that case, an
    unconfirmed request has queued an email with the link to the subscriber's own page.
    """
    with transaction(engine) as connection:
        subscription, existed = add_subscription(connection, request, now=now, confirmed=confirmed)
        if not confirmed:
            if existed:
                queue_manage_link(connection, subscription.user_id, subscription.email, now, existing=subscription)
            else:
                queue_confirmation(connection, subscription, now)
        elif not existed:
            record(connection, actor, "subscription.create", subscription.id, subscriber=subscription.user_id)
    if existed:  # raised after the commit that queues the email
        raise AlreadyExists(
            f"This address already gets alerts for {subscription.pair} on {subscription.exchange_name} when "
            f"{subscription.condition} (subscription {subscription.id})."
        )
    return subscription


def subscribe_all(
    engine: Engine,
    requests: Sequence[SubscriptionRequest],
    *,
    now: datetime,
    confirmed: bool,
    actor: Actor | None = None,
) -> Subscribed:
    """Subscribe one address to several alerts: to all of them, or to none if this raises an error.

    As ``subscribe``, but one email asks to confirm all of them, and those that exist already are counted. Raises
    TooManySubscriptions if ``confirmed``.
    """
    with transaction(engine) as connection:
        found = [add_subscription(connection, request, now=now, confirmed=confirmed) for request in requests]
        added = list({subscription.id: subscription for subscription, existed in found if not existed}.values())
        if not confirmed and added:
            queue_confirmation(connection, added[0], now, added[1:])
        elif not confirmed:
            last = found[-1][0]
            queue_manage_link(connection, last.user_id, last.email, now, existing=last)
        else:
            for subscription in added:
                record(connection, actor, "subscription.create", subscription.id, subscriber=subscription.user_id)
    return Subscribed(len(added), len(requests) - len(added))
