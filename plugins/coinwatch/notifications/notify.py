"""Decides who is notified now, and queues their emails.

Invariant: every alert is in exactly one email, sooner or later. Alerts that may not be sent yet are held, and
``held_users`` stores when to recheck their user: at the end of the quiet hours, when the digest is due, or when the
daily limit allows another email. A run only looks at users with new alerts and at held users whose recheck is due, so
its cost doesn't depend on how many alerts are held. When users change their settings, a trigger makes their recheck
due.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from coinwatch.database import statement


@dataclass(frozen=True, slots=True)
class NotificationPolicy:
    """Limits and channels that apply to every user.

    ``emails_per_day`` is the number of alert emails an address gets within 24 hours, 0 for no limit. ``channels`` also
    sends alerts to the users' other channels, ``webhooks`` to their webhooks.
    """

    emails_per_day: int = 50
    channels: bool = False
    webhooks: bool = True


DEFAULT_POLICY = NotificationPolicy()


@dataclass(frozen=True, slots=True)
class Notified:
    """How many alert emails were queued, and how many users have to wait for theirs."""

    emails: int = 0
    held: int = 0


def notify(
    connection: Connection,
    now: datetime,
    policy: NotificationPolicy = DEFAULT_POLICY,
    expired: Sequence[int] = (),
) -> Notified:
    """Queue an email for every user who may be notified now, hold the other alerts, and announce expired subscriptions.

    Runs in the transaction that stored the alerts, while the caller holds ``Lock.EVALUATION``.
    """
    if expired:
        parameters = {"subscription_ids": list(expired), "now": now}
        connection.execute(statement("notifications/queue_expiry_emails"), parameters)
    connection.execute(statement("notifications/create_users_to_notify"))
    limits = {"now": now, "emails_per_day": policy.emails_per_day or None}
    users = connection.execute(statement("notifications/find_users_to_notify"), limits).all()
    if not users:
        return Notified()
    # Without statistics the planner expects hundreds of users, and reads whole tables for ten of them.
    connection.execute(sa.text("ANALYZE users_to_notify"))
    notified_now = [user.user_id for user in users if user.reason is None]
    connection.execute(statement("alerts/notifications/drop_unsubscribed_alerts"), {"user_ids": notified_now})
    queued = connection.execute(
        statement("notifications/queue_alerts"), {"now": now, "channels": policy.channels, "webhooks": policy.webhooks}
    ).all()
    digests = {"user_ids": [email.user_id for email in queued if email.kind == "digest"], "now": now}
    connection.execute(statement("alerts/users/mark_digests_sent"), digests)
    emails = {
        "user_ids": [email.user_id for email in queued],
        "outbox_ids": [email.outbox_id for email in queued],
    }
    connection.execute(statement("alerts/notifications/mark_alerts_notified"), emails)
    connection.execute(statement("alerts/notifications/hold_new_alerts"))
    held = connection.execute(statement("notifications/hold_users")).rowcount
    return Notified(len(queued), held)
