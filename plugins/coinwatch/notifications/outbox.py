"""The outbox as operators see it: what waits, what failed and why, and what to do with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.errors import NotFound
from coinwatch.settings import Settings

BATCH = 5_000  # mails deleted in one transaction
STATES = ("queued", "sent", "failed", "dropped")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One mail, or message on another channel: to whom, how often it was tried, and what the server said last.

    ``next_attempt_at`` of what failed is when it was tried last.
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
    """How mail is doing.

    ``queued`` mails wait, ``awaiting_retry`` of them after a refusal; ``most_common_error`` is what was said most often
    of those that wait, None where nothing went wrong. ``held_by_limit`` are due and wait because
    COINWATCH_EMAILS_PER_DAY is reached. ``held_alerts`` have no mail yet; ``held_users`` counts by reason (digest,
    quiet_hours, daily_limit, late, suppressed) for whom. ``suppressed_addresses`` take no mail any more.
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
    """The figures of this moment; ``emails_per_day`` is the limit over all addresses, 0 for none."""
    with transaction(engine) as connection:
        row = connection.execute(
            statement("notifications/outbox/select_status"), {"now": now, "emails_per_day": emails_per_day}
        )
        return OutboxStatus(**row.mappings().one())


def list_emails(engine: Engine, *, status: str | None = None, at_most: int = 50) -> list[OutboxRow]:
    """The newest mails, those of one state where it is given."""
    with transaction(engine) as connection:
        rows = connection.execute(
            statement("notifications/outbox/select_emails"), {"status": status, "at_most": at_most}
        ).mappings()
        return [OutboxRow(**row) for row in rows]


def retry_emails(engine: Engine, ids: Sequence[int], now: datetime) -> int:
    """Queue failed and dropped mails anew, due at once, with all attempts before them; their number.

    Without ``ids`` all that failed, but for those to addresses that are refused for good. NotFound when none of them
    can be tried again.
    """
    with transaction(engine) as connection:
        parameters = {"ids": list(ids), "everything": not ids, "now": now}
        retried = connection.execute(statement("notifications/outbox/retry_emails"), parameters).rowcount
        if ids and not retried:
            raise NotFound("None of these mails has failed. See: coinwatch outbox show --status failed")
        return retried


def drop_emails(engine: Engine, ids: Sequence[int]) -> int:
    """Give up mails that wait or failed; their number. NotFound when there is none of them.

    One that a sender is just sending may still arrive.
    """
    with transaction(engine) as connection:
        dropped = connection.execute(statement("notifications/outbox/drop_emails"), {"ids": list(ids)}).rowcount
        if not dropped:
            raise NotFound("None of these mails waits or has failed. See: coinwatch outbox show")
        return dropped


def delete_old_emails(engine: Engine, settings: Settings, now: datetime) -> int:
    """Delete mails that were sent, given up or dropped more than COINWATCH_OUTBOX_RETENTION_DAYS ago; their number.

    The alerts they told stay, and stay told. Breaking it off loses nothing. Raises DatabaseError.
    """
    if not settings.outbox_retention_days:
        return 0
    parameters = {"before": now - timedelta(days=settings.outbox_retention_days), "most": BATCH}
    deleted = 0
    while True:
        with transaction(engine) as connection:
            batch = connection.execute(statement("notifications/outbox/delete_old_emails"), parameters).rowcount
        deleted += batch
        if batch < BATCH:
            return deleted
