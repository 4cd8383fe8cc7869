"""The outbox as operators see it: what is waiting, what failed and why, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.errors import NotFound
from coinwatch.settings import Settings

BATCH = 5_000  # emails deleted in one transaction
STATES = ("queued", "sent", "failed", "dropped")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One email, or message on another channel.

    ``next_attempt_at`` is the time of the last attempt for what has failed; ``last_error`` is the server's reply.
    """

    id: int
    channel: str
    kind: str
    recipient: str
    status: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    sent_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """What is waiting in the outbox and why, and what was sent.

    ``queued`` counts the emails that wait, ``awaiting_retry`` those of them that were rejected temporarily, and
    ``held_by_limit`` those that wait because COINWATCH_EMAILS_PER_DAY is reached; ``most_common_error`` is the most
    common reason. ``held_alerts`` counts the alerts without an email yet, ``held_users`` their users by reason (digest,
    quiet_hours, daily_limit, late, suppressed).
    """

    queued: int
    oldest_queued_at: datetime | None
    awaiting_retry: int
    most_common_error: str | None
    sent_24h: int
    failed_24h: int
    held_by_limit: int
    held_alerts: int
    held_users: Mapping[str, int]
    suppressed_addresses: int


def get_outbox_status(engine: Engine, now: datetime, emails_per_day: int = 0) -> OutboxStatus:
    """The outbox now; ``emails_per_day`` is the limit over all addresses, 0 for none. Raises DatabaseError."""
    parameters = {"now": now, "emails_per_day": emails_per_day}
    with transaction(engine) as connection:
        row = connection.execute(statement("notifications/outbox/select_status"), parameters)
        return OutboxStatus(**row.mappings().one())


def list_emails(engine: Engine, *, status: str | None = None, limit: int = 50) -> list[OutboxRow]:
    """The newest emails, all or those with one of STATES. Raises DatabaseError."""
    parameters = {"status": status, "limit": limit}
    with transaction(engine) as connection:
        rows = connection.execute(statement("notifications/outbox/select_emails"), parameters).mappings()
        return [OutboxRow(**row) for row in rows]


def retry_emails(engine: Engine, ids: Sequence[int], now: datetime) -> int:
    """Queue failed and dropped emails again, due immediately and with all attempts left; return how many.

    Without ``ids``, all failed emails except those to suppressed addresses. Raises NotFound if none of ``ids`` can be
    retried.
    """
    with transaction(engine) as connection:
        parameters = {"ids": list(ids), "all_failed": not ids, "now": now}
        retried = connection.execute(statement("notifications/outbox/retry_emails"), parameters).rowcount
        if ids and not retried:
            raise NotFound("None of these emails has failed. See: coinwatch outbox show --status failed")
        return retried


def drop_emails(engine: Engine, ids: Sequence[int]) -> int:
    """Drop queued and failed emails; return how many. Raises NotFound if there are none.

    An email that is being sent at this moment may still arrive.
    """
    with transaction(engine) as connection:
        dropped = connection.execute(statement("notifications/outbox/drop_emails"), {"ids": list(ids)}).rowcount
        if not dropped:
            raise NotFound("None of these emails is queued or has failed. See: coinwatch outbox show")
        return dropped


def delete_old_emails(engine: Engine, settings: Settings, now: datetime) -> int:
    """Delete emails that were sent, failed or dropped more than COINWATCH_OUTBOX_RETENTION_DAYS ago; return how many.

    Their alerts are kept. Interrupting it is safe. Raises DatabaseError.
    """
    if not settings.outbox_retention_days:
        return 0
    parameters = {"before": now - timedelta(days=settings.outbox_retention_days), "limit": BATCH}
    deleted = 0
    while True:
        with transaction(engine) as connection:
            batch = connection.execute(statement("notifications/outbox/delete_old_emails"), parameters).rowcount
        deleted += batch
        if batch < BATCH:
            return deleted
