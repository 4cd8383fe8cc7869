"""Suppressed addresses: they get no email after a bounce or complaint until their user or an operator lifts it.

Suppressing locks a user before their subscriptions, the evaluation the other way round. To avoid a deadlock, both
suppressing and lifting take the evaluation's lock first.
"""

from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine

from coinwatch.alerts.users import locked_user
from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.errors import NotFound

COMPLAINED = "an email was reported as spam"

log = structlog.get_logger()


def suppress_address(connection: Connection, recipient: str, now: datetime, reason: str) -> int:
    """Send no more email to an address and pause its active subscriptions; return how many were paused.

    A caller that locks outbox rows in the same transaction must take Lock.EVALUATION before.
    """
    acquire_lock(connection, Lock.EVALUATION)
    parameters = {"recipient": recipient, "now": now, "reason": reason}
    return connection.execute(statement("alerts/users/suppress_address"), parameters).rowcount


def lift_suppressions(
    engine: Engine, now: datetime, *, email: str | None = None, since: datetime | None = None
) -> tuple[int, int]:
    """Lift the suppression of one address, or of all suppressed since a moment; return the users and subscriptions.

    For an operator who has fixed the cause of the bounces. The subscriptions that the suppression paused are resumed.
    Addresses that complained are included only by name. Raises NotFound if no such address is suppressed.
    """
    with transaction(engine) as connection:
        acquire_lock(connection, Lock.EVALUATION)
        whom = {"email": email, "since": since, "complained": COMPLAINED, "now": now}
        lifted = connection.execute(statement("alerts/users/lift_suppressions"), whom).one()
    if not lifted.users:
        raise NotFound("No such address is suppressed. See: coinwatch outbox show --status failed")
    log.info("suppressions lifted", users=lifted.users, subscriptions=lifted.subscriptions)
    return lifted.users, lifted.subscriptions


def lift_suppression(engine: Engine, user_id: int) -> None:
    """Send email to a user's address again, because they say that it works; paused subscriptions stay paused.

    Raises NotFound.
    """
    with locked_user(engine, user_id) as connection:
        connection.execute(statement("alerts/users/lift_suppression"), {"user_id": user_id})
