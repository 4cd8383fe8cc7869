"""Creates a subscription and queues its confirmation email."""

from datetime import datetime

from sqlalchemy import Engine

from coinwatch.alerts.subscriptions import Subscription, SubscriptionRequest, add_subscription
from coinwatch.audit import Actor, record
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists
from coinwatch.notifications.requested_emails import queue_confirmation, queue_manage_link


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
