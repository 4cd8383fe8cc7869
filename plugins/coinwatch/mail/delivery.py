"""What waits in the outbox goes to the mail server, at least once.

1. claim due rows for a while (a lease; several senders never hold the same row);
2. build and send each over one connection;
3. mark each: sent, to be tried again, or failed for good.

A sender that dies between the server's yes and the mark lets its lease run out; the next one sends that mail
again under the same Message-ID. That is the only way to a double. The lease is short and renewed while the sender
lives, so that after a crash others go on soon.

An address that the server refuses for good is disabled: its rules rest until the person confirms anew.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection, Engine, Row

from coinwatch.clock import Clock, utc_now
from coinwatch.database import autocommit, statement, transaction
from coinwatch.errors import AddressRefused, CoinwatchError, MailServerAway, PermanentMailError, TemporaryMailError
from coinwatch.mail.charts import Charts
from coinwatch.mail.messages import ChartOf, Mail, build_mail
from coinwatch.mail.smtp import MailConnection, parse_smtp_url
from coinwatch.settings import Settings

BATCH = 50
LEASE = timedelta(seconds=25)  # longer than one mail can take
RENEWED_AFTER = timedelta(seconds=5)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=2)
MOST_ATTEMPTS = 20
# A server that is away says nothing about a message: no attempt counts, and each cycle asks again.
AWAY_PAUSE = timedelta(seconds=30)
COUNTED_AS = {"sent": "sent", "retry": "retried", "failed": "failed", "refused": "failed"}
MARKS = {
    "sent": "mail/mark_sent",
    "retry": "mail/mark_retry",
    "failed": "mail/mark_failed",
    "refused": "mail/mark_failed",
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """Mails accepted by the server, to be tried again, given up; and what still waits afterwards."""

    sent: int
    retried: int
    failed: int
    queued: int
    oldest_queued_at: datetime | None


def deliver_mail(engine: Engine, settings: Settings, *, clock: Clock = utc_now) -> DeliveryResult:
    """Send everything that is due; a refused mail never keeps back the others.

    Ends early when the server cannot be reached: what is left is due again after a pause. Raises DatabaseError.
    """
    counts = {"sent": 0, "retried": 0, "failed": 0}
    charts = Charts(engine)
    with MailConnection(parse_smtp_url(settings.smtp_url.get_secret_value())) as mail:
        while _deliver_batch(engine, settings, mail, charts.of, clock, counts):
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
    engine: Engine,
    settings: Settings,
    mail: MailConnection,
    chart_of: ChartOf,
    clock: Clock,
    counts: dict[str, int],
) -> bool:
    """Claim and send one batch; whether there may be more to do now."""
    lease, now = uuid4(), clock()
    with transaction(engine) as database:
        claim = {"lease": lease, "now": now, "leased_until": now + LEASE, "most": BATCH}
        rows = database.execute(statement("mail/claim"), claim).all()
    with autocommit(engine) as database:
        for row in sorted(rows, key=lambda row: row.id):
            if clock() - now > RENEWED_AFTER:
                now = clock()
                database.execute(statement("mail/renew"), {"lease": lease, "leased_until": now + LEASE})
            try:
                state, parameters = _send(settings, mail, row, chart_of, clock())
            except MailServerAway as error:
                counts["retried"] += _release(database, lease, clock() + AWAY_PAUSE, str(error))
                return False
            marked = database.execute(statement(MARKS[state]), {"id": row.id, "lease": lease, **parameters}).rowcount
            if marked:
                counts[COUNTED_AS[state]] += 1
                if state == "refused":
                    _disable(database, row, clock(), str(parameters["error"]))
            else:
                log.warning("lease ran out while sending", outbox_id=row.id, state=state)
    return len(rows) == BATCH


def _send(
    settings: Settings, mail: MailConnection, row: Row[Any], chart_of: ChartOf, now: datetime
) -> tuple[str, dict[str, object]]:
    """Try one mail; the state to mark and that statement's parameters. Raises MailServerAway."""
    try:
        mail.send(_build(settings, row, chart_of))
    except AddressRefused as error:
        return "refused", {"error": str(error)}
    except PermanentMailError as error:
        log.error("mail refused for good", outbox_id=row.id, error=str(error))
        return "failed", {"error": str(error)}
    except MailServerAway:
        raise
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


def _disable(database: Connection, row: Row[Any], now: datetime, reason: str) -> None:
    """Send nothing more to an address that takes nothing."""
    parameters = {"recipient": row.recipient, "now": now, "reason": reason}
    paused = database.execute(statement("mail/disable_address"), parameters).rowcount
    log.error("address refused for good, its rules rest", outbox_id=row.id, rules=paused, error=reason)


def _build(settings: Settings, row: Row[Any], chart_of: ChartOf) -> Mail:
    """The row's mail. A fault of ours in one row must not keep back the others: it is tried again, and seen."""
    try:
        return build_mail(
            settings,
            kind=row.kind,
            user_id=row.user_id,
            recipient=row.recipient,
            payload=row.payload,
            message_id=row.message_id,
            created_at=row.created_at,
            chart_of=chart_of,
        )
    except CoinwatchError:
        raise
    except Exception as error:
        log.exception("mail cannot be built", outbox_id=row.id)
        raise TemporaryMailError(f"the mail cannot be built: {type(error).__name__}: {error}") from error


def _release(database: Connection, lease: UUID, next_attempt_at: datetime, error: str) -> int:
    """Give back what is claimed and not marked, because the server is away; the number of mails."""
    parameters = {"lease": lease, "next_attempt_at": next_attempt_at, "error": error}
    released = database.execute(statement("mail/release"), parameters).rowcount
    log.warning("mail server away, mails wait", mails=released, error=error)
    return released
