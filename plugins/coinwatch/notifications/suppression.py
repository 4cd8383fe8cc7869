"""Addresses that take no mail of ours any more: their rules rest until the person, or an operator, wakes them.

Disabling locks a person before their subscriptions, the matcher the other way round: who disables or wakes takes the
matcher's turn first.
"""

from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine

from coinwatch.alerts.users import locked_user
from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.errors import NotFound

COMPLAINED = "one of our mails was reported as spam"

log = structlog.get_logger()


def suppress_address(connection: Connection, recipient: str, now: datetime, reason: str) -> int:
    """Send nothing more to an address until its person says so; how many rules rest by that.

    Whoever locks mails in the same transaction holds Lock.EVALUATION before.
    """
    acquire_lock(connection, Lock.EVALUATION)
    parameters = {"recipient": recipient, "now": now, "reason": reason}
    return connection.execute(statement("alerts/users/suppress_address"), parameters).rowcount


def lift_suppressions(
    engine: Engine, now: datetime, *, email: str | None = None, since: datetime | None = None
) -> tuple[int, int]:
    """Mail those again whom the server refused: one address, or all since a moment; how many people and rules.

    For an operator who mended what the refusals came from. Paused rules judge again what comes from now on. Whoever
    reported us as spam is woken by name alone. Raises NotFound where nobody was refused, DatabaseError.
    """
    with transaction(engine) as connection:
        acquire_lock(connection, Lock.EVALUATION)
        whom = {"email": email, "since": since, "complained": COMPLAINED, "now": now}
        lifted = connection.execute(statement("alerts/users/lift_suppressions"), whom).one()
    if not lifted.users:
        raise NotFound("No such address is refused. See: coinwatch outbox show --status failed")
    log.info("refused addresses woken", people=lifted.users, rules=lifted.subscriptions)
    return lifted.users, lifted.subscriptions


def lift_suppression(engine: Engine, user_id: int) -> None:
    """Send email to a user's address again, because they say that it works; paused subscriptions stay paused.

    Raises NotFound.
    """
    with locked_user(engine, user_id) as connection:
        connection.execute(statement("alerts/users/lift_suppression"), {"user_id": user_id})
