"""What waits in the outbox goes to the mail server, at least once.

1. claim due rows for a while (a lease; several senders never hold the same row);
2. build and send each over one connection;
3. mark each: sent, to be tried again, or failed for good.

A sender that dies between the server's yes and the mark lets its lease run out; the next one sends that mail
again under the same Message-ID. That is the only way to a double.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import Engine, Row

from coinwatch.database import autocommit, statement, transaction
from coinwatch.errors import PermanentMailError, TemporaryMailError
from coinwatch.mail.messages import build_message
from coinwatch.mail.smtp import MailConnection, parse_smtp_url
from coinwatch.settings import Settings

BATCH = 50
LEASE = timedelta(minutes=5)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=2)
MOST_ATTEMPTS = 20

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """Mails accepted by the server, to be tried again, given up; and what still waits afterwards."""

    sent: int
    retried: int
    failed: int
    queued: int
    oldest_queued_at: datetime | None


def utc_now() -> datetime:
    return datetime.now(UTC)


def deliver_mail(engine: Engine, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> DeliveryResult:
    """Send everything that is due; a refused mail never keeps back the others.

    Ends early when the server cannot be reached: what is left is due again after a pause. Raises DatabaseError.
    """
    counts = {"sent": 0, "retried": 0, "failed": 0}
    with MailConnection(parse_smtp_url(settings.smtp_url.get_secret_value())) as mail:
        while _deliver_batch(engine, settings, mail, clock, counts):
            pass
    with transaction(engine) as database:
        depth = database.execute(statement("mail/depth")).one()
    result = DeliveryResult(**counts, queued=depth.queued, oldest_queued_at=depth.oldest_at)
    log.info("mail delivered", **counts, queued=result.queued)
    return result


def retry_pause(attempts: int) -> timedelta:
    """How long to wait after this many failed attempts: 30 s, doubled each time, at most 2 h."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** min(attempts - 1, 20)))


def _deliver_batch(
    engine: Engine, settings: Settings, mail: MailConnection, clock: Callable[[], datetime], counts: dict[str, int]
) -> bool:
    """Claim and send one batch; whether there may be more to do now."""
    lease, now = uuid4(), clock()
    with transaction(engine) as database:
        claim = {"lease": lease, "now": now, "leased_until": now + LEASE, "most": BATCH}
        rows = database.execute(statement("mail/claim"), claim).all()
    with autocommit(engine) as database:
        for row in sorted(rows, key=lambda row: row.id):
            outcome, parameters = _send(settings, mail, row, clock())
            mark = {"id": row.id, "lease": lease, **parameters}
            if database.execute(statement(f"mail/mark_{outcome}"), mark).rowcount == 0:
                log.warning("lease ran out while sending", outbox_id=row.id, outcome=outcome)
                continue
            counts[{"sent": "sent", "retry": "retried", "failed": "failed"}[outcome]] += 1
            if outcome == "retry" and not mail.connected:
                release = {"lease": lease, "next_attempt_at": clock() + FIRST_PAUSE, "error": parameters["error"]}
                database.execute(statement("mail/release"), release)
                return False
    return len(rows) == BATCH


def _send(
    settings: Settings, mail: MailConnection, row: Row[Any], now: datetime
) -> tuple[str, dict[str, object]]:
    """Try one mail; the mark it gets and that statement's parameters."""
    try:
        message = build_message(
            settings,
            kind=row.kind,
            recipient=row.recipient,
            payload=row.payload,
            message_id=row.message_id,
            created_at=row.created_at,
        )
        mail.send(message)
    except PermanentMailError as error:
        log.error("mail refused for good", outbox_id=row.id, error=str(error))
        return "failed", {"error": str(error)}
    except TemporaryMailError as error:
        if row.attempts >= MOST_ATTEMPTS:
            log.error("mail given up", outbox_id=row.id, attempts=row.attempts, error=str(error))
            return "failed", {"error": f"given up after {row.attempts} attempts: {error}"}
        pause = retry_pause(row.attempts)
        log.warning(
            "mail to be tried again", outbox_id=row.id, attempts=row.attempts, pause=str(pause), error=str(error)
        )
        return "retry", {"error": str(error), "next_attempt_at": now + pause}
    return "sent", {"now": now}
