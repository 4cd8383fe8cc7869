"""Emails that anyone can trigger by entering an address, and their rate limit."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from coinwatch.addresses import normalize_address
from coinwatch.alerts.subscriptions import Subscription, subscription_in
from coinwatch.alerts.users import lock_user
from coinwatch.database import statement, transaction

# To one address, whoever enters it: a form must not be a way to flood someone's inbox.
EMAILS_PER_HOUR = 3
EMAILS_PER_DAY = 10
EMAILS_PER_DAY_IF_SUPPRESSED = 1  # it bounced or complained; its owner may still want to come back


def request_manage_link(engine: Engine, email: str, now: datetime) -> None:
    """Queue an email with the link to the subscriber's own page, if the address is known and below its rate limit.

    An unconfirmed address gets its confirmation email again instead; the page it links to leads to the same page.
    """
    with transaction(engine) as connection:
        user_id = connection.execute(
            statement("alerts/users/find_user"), {"email": normalize_address(email)}
        ).scalar_one_or_none()
        if user_id is None or not lock_user(connection, user_id):
            return
        user = connection.execute(statement("notifications/subscribers/select_subscriber"), {"user_id": user_id}).one()
        if user.verified_at is not None:
            queue_manage_link(connection, user.id, user.email, now)
            return
        pending = connection.execute(statement("alerts/subscriptions/find_newest_pending"), {"user_id": user_id})
        subscription_id = pending.scalar_one()
        if subscription_id is not None:
            queue_confirmation(connection, subscription_in(connection, subscription_id), now)


def queue_confirmation(
    connection: Connection, subscription: Subscription, now: datetime, others: Sequence[Subscription] = ()
) -> bool:
    """Queue the confirmation email of a pending subscription; return False if the rate limit is reached.

    ``others`` were requested together with it. The page that the email links to confirms all of them.
    """
    payload = {
        "subscription_id": subscription.id,
        **_described(subscription),
        "others": [_described(other) for other in others],
    }
    return _queue(
        connection,
        "notifications/outbox/queue_confirmation",
        subscription.user_id,
        now,
        recipient=subscription.email,
        payload=json.dumps(payload),
        subscription_id=subscription.id,
    )


def _described(subscription: Subscription) -> dict[str, object]:
    return {
        "pair": subscription.pair,
        "exchange": subscription.exchange,
        "exchange_name": subscription.exchange_name,
        "simulated": subscription.simulated,
        "condition": subscription.condition,
    }


def queue_manage_link(
    connection: Connection, user_id: int, email: str, now: datetime, *, existing: Subscription | None = None
) -> bool:
    """Queue an email with the link to the subscriber's own page; return False if the rate limit is reached.

    ``existing`` is the subscription that was requested a second time, if that is the reason for the email.
    """
    payload = {
        "reason": "already" if existing else "asked",
        "condition": existing.condition if existing else None,
        "pair": existing.pair if existing else None,
    }
    return _queue(
        connection,
        "notifications/outbox/queue_manage_link",
        user_id,
        now,
        recipient=email,
        payload=json.dumps(payload),
    )


def _queue(connection: Connection, name: str, user_id: int, now: datetime, **values: object) -> bool:
    sent = connection.execute(
        statement("notifications/outbox/count_requested_emails"),
        {"user_id": user_id, "last_hour": now - timedelta(hours=1), "last_day": now - timedelta(days=1)},
    ).one()
    per_day = EMAILS_PER_DAY_IF_SUPPRESSED if sent.is_suppressed else EMAILS_PER_DAY
    if sent.in_last_hour >= EMAILS_PER_HOUR or sent.in_last_day >= per_day:
        return False
    connection.execute(statement(name), {"user_id": user_id, "now": now, **values})
    return True
