"""Sends what is due in the outbox to the mail server, at least once.

1. claim due emails for a while (notifications/claims.py), so that two senders never send the same one;
2. compose each (mail/compose.py) and send it over one connection (mail/connection.py);
3. mark each as sent, to be retried, or failed.

If a sender dies between the server's acceptance and the mark, the email is sent again with the same Message-ID: up to
two groups of 12, and the one being sent. There is no other cause of duplicates, and none of losses (docs/adr/0008).
Claims of a dead sender are taken over when their lease expires.

A rejection is recorded once it is clear what caused it: if the server accepts nothing and rejects all emails alike, it
is not the emails (mail/rejections.py).
"""

import time
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import transaction
from coinwatch.errors import (
    CoinwatchError,
    EmailError,
    MailServerUnavailable,
    RecipientRejected,
    SendingRateExceeded,
    TemporaryEmailError,
)
from coinwatch.logs import without_addresses
from coinwatch.mail.charts import Charts
from coinwatch.mail.compose import Composer, Email
from coinwatch.mail.connection import MailConnection
from coinwatch.mail.graceful_stop import Stop, graceful_stop
from coinwatch.mail.rejections import Rejected, Rejections
from coinwatch.notifications.claims import BATCH, ClaimedEmail, Claims, Wait
from coinwatch.notifications.suppression import suppress_address
from coinwatch.settings import Settings
from coinwatch.smtp_url import parse_smtp_url

# An unavailable server says nothing about an email: it does not count as an attempt, and each cycle tries again.
UNAVAILABLE_PAUSE = timedelta(seconds=30)
# Providers limit emails per second: Amazon SES to one in its sandbox, and to 14 for a new account.
RATE_PAUSES = (1.0, 2.0, 4.0)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """How many emails were accepted by the server, will be retried, and have failed."""

    sent: int
    retried: int
    failed: int


def deliver_emails(
    engine: Engine, settings: Settings, *, clock: Clock = utc_now, wait: Wait = time.sleep
) -> DeliveryResult:
    """Send everything that is due; an email that is rejected does not hold up the others.

    Waits for the claims of a sender that died (``wait`` sleeps for a number of seconds) and sends those emails too.
    Ends early if the server is unavailable: the rest is due again after a pause. SIGTERM ends it between two emails,
    and the rest is released. Raises DatabaseError.
    """
    server = parse_smtp_url(settings.smtp_url.get_secret_value())
    with (
        graceful_stop() as stopped,
        Claims(engine, clock, wait, settings.emails_per_day) as claims,
        MailConnection(server) as connection,
    ):
        sender = _Sender(engine, clock, claims, connection, Composer(settings, Charts(engine).get), stopped, wait)
        while sender.send_due() and not claims.capped and claims.wait_for_dead_senders(stopped):
            pass
    if claims.capped:
        log.warning("daily email limit reached", limit=settings.emails_per_day)
    result = DeliveryResult(claims.sent, sender.retried, sender.failed)
    log.info("emails delivered", sent=result.sent, retried=result.retried, failed=result.failed)
    return result


def deliver_requested_emails(
    engine: Engine, settings: Settings, address: str, *, clock: Clock = utc_now
) -> DeliveryResult:
    """Send the confirmations and links that were just requested for an address, without waiting for the next cycle.

    An email that another sender has claimed is left to it, and one that can't be sent now to the next cycle. Raises
    DatabaseError and ConfigurationError.
    """
    server = parse_smtp_url(settings.smtp_url.get_secret_value())
    with (
        Claims(engine, clock, time.sleep, settings.emails_per_day, requested_by=address) as claims,
        MailConnection(server) as connection,
    ):
        composer = Composer(settings, Charts(engine).get)
        sender = _Sender(engine, clock, claims, connection, composer, lambda: False, time.sleep)
        sender.send_due()
    return DeliveryResult(claims.sent, sender.retried, sender.failed)


class _Sender:
    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        claims: Claims,
        connection: MailConnection,
        composer: Composer,
        stopped: Stop,
        wait: Wait,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._claims = claims
        self._connection = connection
        self._composer = composer
        self._stopped = stopped
        self._wait = wait
        self._pauses = list(RATE_PAUSES)
        self._rejections = Rejections()
        self.retried = 0
        self.failed = 0

    def send_due(self) -> bool:
        """Send batch after batch; return False if the run should end early."""
        more = True
        while more:
            batch = self._claims.claim()
            more = len(batch) == BATCH
            for claimed in batch:
                if self._stopped():
                    return False
                if self._claims.holds(claimed) and not self._send(claimed):
                    return False
        self._record(*self._rejections.settle())
        if (waiting := self._rejections.take_waiting()) is not None:
            self._release("the server rejects us", waiting)
        self._claims.flush()
        return True

    def _send(self, claimed: ClaimedEmail) -> bool:
        """Send one email; return False if trying the others is pointless."""
        try:
            email = self._compose(claimed)
        except EmailError as error:
            self._record((claimed, error))
            return True
        try:
            self._transmit(email)
        except MailServerUnavailable as error:
            self._release("mail server unavailable", error)
            return False
        except EmailError as error:
            self._record(*self._rejections.add(claimed, error))
            if self._rejections.stopped_by is not None:
                self._release("all are rejected alike", self._rejections.stopped_by)
                return False
        else:
            self._claims.mark_accepted(claimed)
            self._record(*self._rejections.accept())
        return True

    def _transmit(self, email: Email) -> None:
        """Send an email. If the server asks us to slow down, wait and try again, until one email has waited in vain."""
        while True:
            try:
                self._connection.send(email)
            except SendingRateExceeded:
                if not self._pauses or self._stopped():
                    raise
                self._wait(self._pauses.pop(0))
            else:
                self._pauses = list(RATE_PAUSES)
                return

    def _release(self, reason: str, error: EmailError) -> None:
        """Let all claimed emails wait; it does not count as an attempt."""
        released = self._claims.release(self._clock() + UNAVAILABLE_PAUSE, str(error))
        log.warning(f"emails not sent: {reason}", emails=released, error=without_addresses(str(error)))
        self.retried += released

    def _compose(self, claimed: ClaimedEmail) -> Email:
        """A bug that one row triggers must not hold up the others: the row is retried, and the error is logged."""
        try:
            return self._composer.compose(claimed)
        except CoinwatchError:
            raise
        except Exception as error:
            log.exception("email not composed", outbox_id=claimed.id)
            raise TemporaryEmailError(f"the email cannot be composed: {type(error).__name__}: {error}") from error

    def _record(self, *rejected: Rejected) -> None:
        for claimed, error in rejected:
            outcome = self._claims.mark_error(claimed, error)
            reply = without_addresses(str(error))
            log.warning(f"email {outcome}", outbox_id=claimed.id, attempts=claimed.attempts, error=reply)
            self.retried += outcome == "retried"
            self.failed += outcome == "failed"
            if outcome == "failed" and isinstance(error, RecipientRejected):
                with transaction(self._engine) as database:
                    paused = suppress_address(database, claimed.recipient, self._clock(), str(error))
                log.warning("address suppressed", outbox_id=claimed.id, subscriptions_paused=paused, error=reply)
