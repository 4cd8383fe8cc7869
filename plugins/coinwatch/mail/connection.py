"""One connection to the mail server, reused for every email of a run."""

import contextlib
import smtplib
from types import TracebackType
from typing import NoReturn, Self

from coinwatch.errors import (
    EmailError,
    MailServerUnavailable,
    PermanentEmailError,
    RecipientRejected,
    SenderRejected,
    SendingRateExceeded,
    TemporaryEmailError,
)
from coinwatch.mail.compose import Email
from coinwatch.mail.replies import BY_POLICY, CLOSING, Outcome, classify, parse_reply
from coinwatch.mail.smtp import MailServer, connect

ACCEPTED = range(200, 300)


class MailConnection:
    """Connects for the first email, and again after a connection was lost."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._smtp is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._smtp.quit()
            self._close()

    def send(self, email: Email) -> None:
        """Send one email; returning means that the server has accepted it.

        Raises MailServerUnavailable if no email gets through at the moment, SenderRejected if our configuration is to
        blame, SendingRateExceeded if we are too fast, RecipientRejected if the mailbox does not exist, and otherwise
        TemporaryEmailError or PermanentEmailError for this email alone.
        """
        try:
            self._transmit(email)
        except EmailError:
            self._reset()
            raise
        except (smtplib.SMTPException, OSError) as error:
            # Possibly because of this email, so it counts as an attempt. If the server is gone, the next email fails
            # too.
            self._close()
            raise TemporaryEmailError(f"the connection to {self._server} was lost: {error}") from error

    def _transmit(self, email: Email) -> None:
        smtp = self._announce(email)
        code, reply = smtp.rcpt(email.recipient)
        if code not in ACCEPTED:
            self._reject(code, reply)
        try:
            code, reply = smtp.data(email.data)
        except smtplib.SMTPDataError as error:  # before the text, so even a positive code means that it was not sent
            self._reject(error.smtp_code, _bytes(error.smtp_error))
        if code not in ACCEPTED:
            self._reject(code, reply)

    def _announce(self, email: Email) -> smtplib.SMTP:
        """Name the sender.

        Servers close connections after a number of emails, so a used one may have to be replaced.
        """
        if self._smtp is not None:
            try:
                code, reply = self._smtp.mail(email.sender)
            except (smtplib.SMTPException, OSError):
                code, reply = CLOSING, b""
            if code != CLOSING:
                self._check_sender(code, reply)
                return self._smtp
            self._close()
        self._smtp = connect(self._server)
        try:
            code, reply = self._smtp.mail(email.sender)
        except (smtplib.SMTPException, OSError) as error:
            self._close()
            raise MailServerUnavailable(f"{self._server} closed the connection after the greeting: {error}") from error
        self._check_sender(code, reply)
        return self._smtp

    def _check_sender(self, code: int, reply: bytes) -> None:
        """The sender is a setting: no reason to give up the emails in the outbox."""
        if code not in ACCEPTED:
            found = parse_reply(code, reply)
            verdict = classify(found)
            advice = verdict.advice
            if not advice or verdict is BY_POLICY:
                advice = "rejects our sender, check COINWATCH_EMAIL_FROM" if code >= 500 else "accepts no email now"
            raise MailServerUnavailable(f"{self._server} {advice}: {found}")

    def _reject(self, code: int, raw: bytes) -> NoReturn:
        """Raise what a reply to RCPT, DATA or the text stands for."""
        reply = parse_reply(code, raw)
        if code == CLOSING or not 400 <= code < 600:
            raise smtplib.SMTPServerDisconnected(str(reply))
        verdict = classify(reply)
        explained = f"{self._server} {verdict.advice}: {reply}" if verdict.advice else str(reply)
        match verdict.outcome:
            case Outcome.STOP:
                raise MailServerUnavailable(explained)
            case Outcome.WAIT:
                raise SenderRejected(explained)
            case Outcome.SLOW_DOWN:
                raise SendingRateExceeded(explained)
            case Outcome.RETRY:
                raise TemporaryEmailError(explained)
            case Outcome.SUPPRESS:
                raise RecipientRejected(explained)
            case Outcome.FAIL:
                raise PermanentEmailError(explained)

    def _reset(self) -> None:
        """End a rejected transaction, so that the connection can carry the next email."""
        if self._smtp is not None:
            try:
                self._smtp.rset()
            except (smtplib.SMTPException, OSError):
                self._close()

    def _close(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
