"""What waits in the outbox goes to the mail server, at least once.

1. claim due mails for a while (mail/claims.py; several senders never hold the same mail);
2. build and send each over one connection (mail/connection.py);
3. mark each: sent, to be tried again, or failed for good.

A mail that the server has taken and that is not marked yet goes out again, under the same Message-ID, when its sender
dies: those of the last two groups, 24 at most, and the one whose answer is awaited. So does what a sender had ready
when its machine slept for longer than its lease. There is no other way to a double and none to a loss (docs/adr/0008).
What a sender that died had claimed is taken over when its lease ends.

An address that the server refuses for good is disabled: its rules rest until the person confirms anew.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import statement, transaction
from coinwatch.errors import (
    CoinwatchError,
    DatabaseError,
    EmailError,
    MailServerUnavailable,
    PermanentEmailError,
    RecipientRejected,
    TemporaryEmailError,
)
from coinwatch.mail.charts import Charts
from coinwatch.mail.connection import MailConnection
from coinwatch.mail.graceful_stop import Stop, stopping_gently
from coinwatch.mail.messages import Mail, Writer
from coinwatch.mail.smtp import parse_smtp_url
from coinwatch.notifications.claims import BATCH, ClaimedEmail, Claims, Wait
from coinwatch.notifications.suppression import suppress_address
from coinwatch.settings import Settings

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=2)
MOST_ATTEMPTS = 20
# A server that is away says nothing about a message: no attempt counts, and each cycle asks again.
AWAY_PAUSE = timedelta(seconds=30)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """Mails accepted by the server, to be tried again, given up; and what still waits afterwards.

    ``held`` are due mails that wait because the daily limit is reached.
    """

    sent: int
    retried: int
    failed: int
    queued: int
    oldest_queued_at: datetime | None
    held: int = 0


def deliver_emails(
    engine: Engine, settings: Settings, *, clock: Clock = utc_now, wait: Wait = time.sleep
) -> DeliveryResult:
    """Send everything that is due; a refused mail never keeps back the others.

    Mails claimed by a sender that died are waited for (``wait`` takes seconds) and sent as well. Ends early when the
    server cannot be reached: what is left is due again after a pause. SIGTERM ends it between two mails, with the rest
    given back. Raises DatabaseError.
    """
    with stopping_gently() as stop:
        sender = _Sender(engine, settings, clock, wait, stop)
        try:
            sender.run()
        except DatabaseError:
            raise  # what is claimed is free when its lease ends
        except BaseException:
            sender.claims.give_back()
            raise
        return sender.result()


def retry_pause(attempts: int) -> timedelta:
    """How long to wait after this many failed attempts: 30 s, doubled each time, at most 2 h."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** min(attempts - 1, 20)))


class _Sender:
    """One run: claim, send, mark."""

    def __init__(self, engine: Engine, settings: Settings, clock: Clock, wait: Wait, stop: Stop) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._server = parse_smtp_url(settings.smtp_url.get_secret_value())
        self._writer = Writer(settings, Charts(engine).of)
        self._retried = 0
        self._failed = 0
        self.claims = Claims(engine, clock, wait, settings.emails_per_day)

    def run(self) -> None:
        with MailConnection(self._server, self._idle) as connection:
            while self._send_all(connection) and not self.claims.capped and self.claims.wait_for_the_dead(self._stop):
                pass

    def result(self) -> DeliveryResult:
        with transaction(self._engine) as database:
            depth = database.execute(statement("notifications/outbox/select_queue_depth")).one()
            held = 0
            if self.claims.capped:
                held = database.execute(
                    statement("notifications/outbox/count_due_emails"), {"now": self._clock()}
                ).scalar_one()
        counts = {"sent": self.claims.sent, "retried": self._retried, "failed": self._failed}
        if held:
            log.warning("daily limit of mails reached, the rest waits", held=held, limit=self._settings.emails_per_day)
        log.info("mail delivered", **counts, queued=depth.queued)
        return DeliveryResult(**counts, queued=depth.queued, oldest_queued_at=depth.oldest_at, held=held)

    def _send_all(self, connection: MailConnection) -> bool:
        """Everything that is due; whether the server is there and more may come."""
        try:
            for row, error in connection.send(self._mails()):
                if error is None:
                    self.claims.accepted(row)
                else:
                    self._not_sent(row, error)
        except MailServerUnavailable as error:
            released = self.claims.give_back(self._clock() + AWAY_PAUSE, str(error))
            log.warning("mail server away, mails wait", mails=released, error=str(error))
            self._retried += released
            return False
        self.claims.give_back()
        return not self._stop()

    def _mails(self) -> Iterator[tuple[ClaimedEmail, Mail]]:
        """What is claimed, built; the next batch is claimed when the one before is with the server."""
        more = True
        while more:
            rows = self.claims.take()
            more = len(rows) == BATCH
            for row in rows:
                if self._stop():
                    return
                if not self.claims.holds(row):
                    continue
                try:
                    mail = self._build(row)
                except EmailError as error:
                    self._not_sent(row, error)
                else:
                    yield row, mail

    def _idle(self) -> None:
        """The server takes its time."""
        self.claims.mark_sent()
        self.claims.renew()

    def _not_sent(self, row: ClaimedEmail, error: EmailError) -> None:
        """Mark a mail by what its refusal says."""
        if isinstance(error, PermanentEmailError):
            log.error("mail refused for good", outbox_id=row.id, error=str(error))
            ours = self.claims.mark_failed(row, str(error))
            self._failed += ours
            if ours and isinstance(error, RecipientRejected):
                with transaction(self._engine) as database:
                    rules = suppress_address(database, row.recipient, self._clock(), str(error))
                log.error("address refused for good, its rules rest", outbox_id=row.id, rules=rules, error=str(error))
        elif row.attempts >= MOST_ATTEMPTS:
            log.error("mail given up", outbox_id=row.id, attempts=row.attempts, error=str(error))
            self._failed += self.claims.mark_failed(row, f"given up after {row.attempts} attempts: {error}")
        else:
            pause = retry_pause(row.attempts)
            log.warning(
                "mail to be tried again", outbox_id=row.id, attempts=row.attempts, pause=str(pause), error=str(error)
            )
            self._retried += self.claims.mark_retry(row, self._clock() + pause, str(error))

    def _build(self, row: ClaimedEmail) -> Mail:
        """The row's mail. A fault of ours in one row must not keep back the others: it is tried again, and seen."""
        try:
            return self._writer.build(
                kind=row.kind,
                user_id=row.user_id,
                recipient=row.recipient,
                payload=row.payload,
                message_id=row.message_id,
                created_at=row.created_at,
            )
        except CoinwatchError:
            raise
        except Exception as error:
            log.exception("mail cannot be built", outbox_id=row.id)
            raise TemporaryEmailError(f"the mail cannot be built: {type(error).__name__}: {error}") from error
