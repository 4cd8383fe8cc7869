"""Deletes all data about a subscriber."""

from datetime import datetime, timedelta
from time import monotonic, sleep

import structlog
from sqlalchemy import Connection, Engine

from coinwatch.alerts.users import LOCK_TIMEOUT_MILLISECONDS, locked_user
from coinwatch.audit import Actor, record
from coinwatch.database import statement, transaction
from coinwatch.errors import DatabaseError

UNCONFIRMED_RETENTION = timedelta(days=7)
BATCH = 1_000  # users deleted in one transaction

log = structlog.get_logger()


def erase(engine: Engine, user_id: int, *, actor: Actor | None = None) -> None:
    """Delete a user with their settings, subscriptions, alerts and emails.

    Waits for a running evaluation. An email that is being sent may still arrive. Raises NotFound, and DatabaseError if
    the locks are not available.
    """
    with locked_user(engine, user_id) as connection:
        _lock_emails(connection, user_id)
        connection.execute(statement("alerts/subscriptions/delete_subscriptions_of_user"), {"user_id": user_id})
        connection.execute(statement("alerts/users/delete_user"), {"user_id": user_id})
        record(connection, actor, "subscriber.erase", f"subscriber {user_id}")
    log.info("user erased", user_id=user_id)


def erase_unconfirmed(engine: Engine, now: datetime) -> int:
    """Delete users whose address was not confirmed within a week; return their number.

    Also deletes what strangers requested for other users a week ago. By then the link in the confirmation email has
    expired. Works in batches, so it can be interrupted. Raises DatabaseError.
    """
    parameters = {"before": now - UNCONFIRMED_RETENTION, "limit": BATCH}
    erased = 0
    while True:
        with transaction(engine) as connection:
            query = statement("notifications/subscribers/select_unconfirmed_users")
            users = connection.execute(query, parameters).scalars().all()
            connection.execute(statement("alerts/users/delete_users"), {"user_ids": users})
        erased += len(users)
        if len(users) < BATCH:
            break
    with transaction(engine) as connection:
        connection.execute(statement("alerts/subscriptions/delete_old_pending"), parameters)
    return erased


def _lock_emails(connection: Connection, user_id: int) -> None:
    """Lock all outbox rows of a user at once.

    Senders mark many rows at a time, in any order. Waiting for one row while holding another could cause a deadlock, so
    this locks either all rows or none.
    """
    deadline = monotonic() + LOCK_TIMEOUT_MILLISECONDS / 1000
    while monotonic() < deadline:
        with connection.begin_nested() as attempt:
            if connection.execute(
                statement("notifications/subscribers/lock_emails"), {"user_id": user_id}
            ).scalar_one():
                return
            attempt.rollback()
        sleep(0.02)
    raise DatabaseError("An email to this subscriber is being sent. Try again in a minute.")
