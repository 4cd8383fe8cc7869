"""Suppresses addresses after a bounce or complaint: they get no email until the user or an operator lifts it.

Suppressing locks a user before their subscriptions; the evaluation locks them in the opposite order. To avoid
deadlocks, suppressing and lifting take the evaluation lock first.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine

from coinwatch.addresses import normalize_address
from coinwatch.alerts.users import locked_user
from coinwatch.audit import Actor, record
from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.errors import NotFound

COMPLAINED = "an email was reported as spam"

log = structlog.get_logger()


def suppress_address(connection: Connection, recipient: str, now: datetime, reason: str) -> int:
    """Suppress an address and pause its active subscriptions; return how many were paused.

    A caller that locks outbox rows in the same transaction must take Lock.EVALUATION before that.
    """
    acquire_lock(connection, Lock.EVALUATION)
    parameters = {"recipient": recipient, "now": now, "reason": reason}
    return connection.execute(statement("alerts/users/suppress_address"), parameters).rowcount


def lift_suppressions(
    engine: Engine,
    now: datetime,
    *,
    email: str | None = None,
    since: datetime | None = None,
    actor: Actor | None = None,
) -> tuple[int, int]:
    """Lift the suppression of one address, or of all addresses suppressed since a time, as an operator.

    Resumes the subscriptions that the suppression paused. An address suppressed because of a complaint is only included
    if ``email`` names it. Returns the numbers of users and of resumed subscriptions. Raises NotFound if no such address
    is suppressed, and DatabaseError.
    """
    with transaction(engine) as connection:
        acquire_lock(connection, Lock.EVALUATION)
        address = None if email is None else normalize_address(email)
        parameters = {"email": address, "since": since, "complained": COMPLAINED, "now": now}
        lifted = connection.execute(statement("alerts/users/lift_suppressions"), parameters).one()
        if not lifted.users:
            raise NotFound("No such address is suppressed. See: coinwatch outbox show --status failed")
        for user_id in lifted.users:
            record(connection, actor, "suppression.lift", f"subscriber {user_id}")
    log.info("suppressions lifted", users=len(lifted.users), subscriptions=lifted.subscriptions)
    return len(lifted.users), lifted.subscriptions


@dataclass(frozen=True, slots=True)
class SuppressedAddress:
    """An address that receives no email; ``paused`` counts the subscriptions that are resumed when that is lifted."""

    id: int
    email: str
    suppressed_at: datetime
    reason: str
    paused: int


def list_suppressed(engine: Engine, *, limit: int = 100) -> list[SuppressedAddress]:
    """Up to ``limit`` suppressed addresses, the latest first. Raises DatabaseError."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("notifications/subscribers/select_suppressed"), {"limit": limit}).mappings()
        return [SuppressedAddress(**row) for row in rows]


def lift_suppression(engine: Engine, user_id: int) -> None:
    """Lift the suppression of a user's address, at their own request. Paused subscriptions stay paused.

    Raises NotFound.
    """
    with locked_user(engine, user_id) as connection:
        connection.execute(statement("alerts/users/lift_suppression"), {"user_id": user_id})
