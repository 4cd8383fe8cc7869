"""Mails that anybody can have sent to an address by typing it: so few an hour that nobody can be flooded with them."""

import json
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from coinwatch.database import statement

MAILS_PER_HOUR = 3


def may_mail(connection: Connection, email: str, now: datetime) -> bool:
    """Whether this address has not yet had its share of confirmations and manage links of the last hour."""
    parameters = {"recipient": email, "since": now - timedelta(hours=1)}
    return (
        int(connection.execute(statement("notifications/outbox/count_confirmations"), parameters).scalar_one())
        < MAILS_PER_HOUR
    )


def mail_manage_link(
    connection: Connection,
    user_id: int,
    email: str,
    now: datetime,
    *,
    reason: Literal["asked", "already"],
    condition: str | None = None,
    pair: str | None = None,
) -> bool:
    """Queue the link to a person's own page, unless the address has had its share; whether it was queued.

    ``already``: somebody asked for the alert that the person has; ``condition`` and ``pair`` say which.
    """
    if not may_mail(connection, email, now):
        return False
    payload = {"reason": reason, "condition": condition, "pair": pair}
    parameters = {"user_id": user_id, "recipient": email, "payload": json.dumps(payload), "now": now}
    connection.execute(statement("notifications/outbox/queue_manage"), parameters)
    return True
