"""The outbox for operators: its state, and listing, retrying, dropping and deleting emails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.audit import Actor, record
from coinwatch.database import statement, transaction
from coinwatch.errors import NotFound
from coinwatch.formatting import format_count
from coinwatch.settings import Settings

BATCH = 5_000  # emails deleted in one transaction
STATES = ("queued", "sent", "failed", "dropped")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One email, or one message to another channel.

    After a failure, ``next_attempt_at`` is the time of the last attempt. ``last_error`` is the server's reply.
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
    """The number of emails in the outbox by state, and of alerts that are held.

    ``awaiting_retry`` counts the queued emails that were rejected temporarily, ``held_by_limit`` those that wait
    because COINWATCH_EMAILS_PER_DAY is reached. ``most_common_error`` is the most common error of queued emails,
    ``most_common_failure`` that of emails that failed within 24 hours, both without addresses. ``held_alerts`` counts
    the alerts without an email yet, ``held_users`` their users by reason (digest, quiet_hours, daily_limit, late,
    suppressed).
    """

    queued: int
    oldest_queued_at: datetime | None
    awaiting_retry: int
    most_common_error: str | None
    sent_24h: int
    failed_24h: int
    most_common_failure: str | None
    held_by_limit: int
    held_alerts: int
    held_users: Mapping[str, int]
    suppressed_addresses: int


def get_outbox_status(engine: Engine, now: datetime, emails_per_day: int = 0) -> OutboxStatus:
    """Return the state of the outbox. Raises DatabaseError.

    ``emails_per_day`` is the daily limit over all addresses; 0 means no limit.
    """
    parameters = {"now": now, "emails_per_day": emails_per_day}
    with transaction(engine) as connection:
        row = connection.execute(statement("notifications/outbox/select_status"), parameters)
        return OutboxStatus(**row.mappings().one())


def list_emails(
    engine: Engine, *, status: str | None = None, before: int | None = None, limit: int = 50
) -> list[OutboxRow]:
    """Return up to ``limit`` emails with an id less than ``before``, newest first. Raises DatabaseError.

    ``status`` is one of STATES; None returns all.
    """
    parameters = {"status": status, "before": before, "limit": limit}
    with transaction(engine) as connection:
        rows = connection.execute(statement("notifications/outbox/select_emails"), parameters).mappings()
        return [OutboxRow(**row) for row in rows]


def retry_emails(engine: Engine, ids: Sequence[int], now: datetime, *, actor: Actor | None = None) -> int:
    """Queue failed and dropped emails again, due immediately and with all attempts left; return their number.

    Without ``ids``, queues all failed emails except those to suppressed addresses. Raises NotFound if none of ``ids``
    can be retried.
    """
    with transaction(engine) as connection:
        parameters = {"ids": list(ids), "all_failed": not ids, "now": now}
        retried = connection.execute(statement("notifications/outbox/retry_emails"), parameters).rowcount
        if ids and not retried:
            raise NotFound("None of these emails has failed. See: coinwatch outbox show --status failed")
        record(connection, actor, "outbox.retry", format_count(retried, "email"), ids=list(ids) or "all failed")
        return retried


def drop_emails(engine: Engine, ids: Sequence[int], *, actor: Actor | None = None) -> int:
    """Drop queued and failed emails; return their number.

    Without ``ids``, drops all failed emails. An email that is being sent may still arrive. Raises NotFound if none of
    ``ids`` can be dropped.
    """
    with transaction(engine) as connection:
        parameters = {"ids": list(ids), "all_failed": not ids}
        dropped = connection.execute(statement("notifications/outbox/drop_emails"), parameters).rowcount
        if ids and not dropped:
            raise NotFound("None of these emails is queued or has failed. See: coinwatch outbox show")
        record(connection, actor, "outbox.drop", format_count(dropped, "email"), ids=list(ids) or "all failed")
        return dropped


def delete_old_emails(engine: Engine, settings: Settings, now: datetime) -> int:
    """Delete emails sent, failed or dropped more than COINWATCH_OUTBOX_RETENTION_DAYS ago; return their number.

    Their alerts are kept. Works in batches, so it can be interrupted. Raises DatabaseError.
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
