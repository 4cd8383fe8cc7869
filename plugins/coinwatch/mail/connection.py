"""One connection to the mail server, reused for every email of a run, and what the server's replies mean."""

import contextlib
import re
import smtplib
from types import TracebackType
from typing import Self

from coinwatch.errors import (
    EmailError,
    MailServerUnavailable,
    PermanentEmailError,
    RecipientRejected,
    TemporaryEmailError,
)
from coinwatch.mail.compose import Email
from coinwatch.mail.smtp import MailServer, connect

CLOSING, LOGIN_REQUIRED = 421, 530
# RFC 3463: a system error or a policy says nothing about the address.
NOT_ABOUT_ADDRESS = re.compile(r"5\.(3|7)\.\d")
QUOTA_REACHED = re.compile(r"5\.4\.5")  # Gmail's code for the daily quota: permanent for today, not for the email


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

        Raises MailServerUnavailable if no email gets through at the moment, RecipientRejected if the address does not
        exist, and otherwise TemporaryEmailError or PermanentEmailError for this email alone.
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
        self._check(*smtp.rcpt(email.recipient), of_recipient=True)
        try:
            reply = smtp.data(email.data)
        except smtplib.SMTPDataError as error:  # rejected before the text
            reply = error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        self._check(*reply)

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
        code, reply = self._smtp.mail(email.sender)
        self._check_sender(code, reply)
        return self._smtp

    def _check_sender(self, code: int, reply: bytes) -> None:
        if code == CLOSING:
            raise smtplib.SMTPServerDisconnected(_text(code, reply))
        if not 200 <= code < 300:
            # The sender is a setting: no reason to give up the emails in the outbox.
            reason = "rejects our sender, check COINWATCH_EMAIL_FROM" if code >= 500 else "accepts no email now"
            raise MailServerUnavailable(f"{self._server} {reason}: {_text(code, reply)}")

    def _check(self, code: int, reply: bytes, *, of_recipient: bool = False) -> None:
        """Raise what a reply to RCPT, DATA or the text stands for, unless it is positive."""
        if 200 <= code < 300:
            return
        text, status = _text(code, reply), reply.decode("utf-8", "replace")
        if code == CLOSING:
            raise smtplib.SMTPServerDisconnected(text)
        if code == LOGIN_REQUIRED:
            raise MailServerUnavailable(f"{self._server} requires a login, check COINWATCH_SMTP_URL: {text}")
        if code < 500:
            raise TemporaryEmailError(text)
        if QUOTA_REACHED.match(status):
            raise MailServerUnavailable(
                f"{self._server} accepts no more emails today, see COINWATCH_EMAILS_PER_DAY: {text}"
            )
        if of_recipient and not NOT_ABOUT_ADDRESS.match(status):
            raise RecipientRejected(text)
        raise PermanentEmailError(text)

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


def _text(code: int, reply: bytes) -> str:
    return f"{code} {reply.decode('utf-8', 'replace')}"
