"""Messages to the mail server, one after the other over one connection, each with its own answer.

mail/wire.py speaks to the server; here is what its answers mean for a message, and what a lost connection means.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from coinwatch.errors import (
    EmailError,
    MailServerUnavailable,
    PermanentEmailError,
    RecipientRejected,
    TemporaryEmailError,
)
from coinwatch.mail.messages import Mail
from coinwatch.mail.smtp import MailServer, connect
from coinwatch.mail.wire import Answer, Lost, Wire

ADDRESS = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")  # nothing that could end the command it stands in
LOGIN_NEEDED = 530
# RFC 3463: their system, a policy; it says nothing about the address.
ABOUT_US = re.compile(r"5\.(3|7)\.\d")
USED_UP = re.compile(r"5\.4\.5")  # today's quota, as Gmail says it: final for today, not for the mail

Key = TypeVar("Key")


class MailConnection:
    """A connection that is opened for the first message, and anew after a loss.

    ``idle`` is called whenever the server has been silent for 100 ms, so that what was accepted need not wait for it.
    """

    def __init__(self, server: MailServer, idle: Callable[[], None] = lambda: None) -> None:
        self._server = server
        self._idle = idle
        self._wire: Wire | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wire is not None:
            self._wire.quit()
            self._wire = None

    def send(self, mails: Iterable[tuple[Key, Mail]]) -> Iterator[tuple[Key, EmailError | None]]:
        """Each mail's key with None once the server has accepted it, or with why it did not; in order.

        ``mails`` is asked for more while the server works: up to two are ahead of the one whose answer is next. An
        error it raises comes out when those are answered. Raises MailServerUnavailable when no message gets through.
        """
        source = iter(mails)
        ahead: deque[tuple[Key, Mail]] = deque()
        failed: list[Exception] = []

        def fill(most: int) -> None:
            try:
                while len(ahead) < most and not failed:
                    ahead.append(next(source))
            except StopIteration as end:
                failed.append(end)
            except Exception as error:  # noqa: BLE001 - raised below, when the server has answered for the others
                failed.append(error)

        fill(2)
        while ahead:
            key, mail = ahead[0]
            answer = self._exchange(mail, ahead[1][1] if len(ahead) > 1 else None, lambda: fill(3))
            ahead.popleft()
            yield key, answer
            fill(2)
        if failed and not isinstance(failed[0], StopIteration):
            raise failed[0]

    def _exchange(self, mail: Mail, following: Mail | None, meanwhile: Callable[[], None]) -> EmailError | None:
        """One message; ``following`` is announced along with its text."""
        if not ADDRESS.fullmatch(mail.recipient):
            return PermanentEmailError(f"{mail.recipient!r} is no address that can be written to")
        try:
            refusal = self._offer(mail)
            if refusal is None and self._wire is not None:
                self._wire.write_text(mail, following if following and ADDRESS.fullmatch(following.recipient) else None)
                meanwhile()
                answer = self._wire.answer_to_text()
                self._check_quota(answer)
                refusal = None if answer.good else _sorted(answer)
        except Lost as lost:
            self._drop()
            # Perhaps because of this very message, so it counts as a try; if the server is gone, the next one says so.
            return TemporaryEmailError(f"the connection to {self._server} was lost: {lost}")
        return refusal

    def _offer(self, mail: Mail) -> EmailError | None:
        """Sender and recipient: None when the server now waits for the text. Raises MailServerUnavailable, Lost."""
        if self._wire is not None:
            try:
                return self._refusal(self._wire.offer(mail))
            except Lost as lost:
                self._drop()
                if not lost.untouched:
                    raise
                # Servers close connections that have carried many mails; that says nothing about this one.
        self._wire = Wire(connect(self._server), self._idle)
        return self._refusal(self._wire.offer(mail))

    def _refusal(self, answers: tuple[Answer, Answer, Answer]) -> EmailError | None:
        """What the answers to MAIL, RCPT and DATA say."""
        sender, recipient, text = answers
        if not sender.good:
            # Our address, so a setting to mend: no reason to give up what is in the outbox.
            refuses = "refuses our sender, check COINWATCH_EMAIL_FROM" if sender.final else "takes no mail now"
            raise MailServerUnavailable(f"{self._server} {refuses}: {sender}")
        self._check_quota(recipient)
        if recipient.code == LOGIN_NEEDED:
            raise MailServerUnavailable(f"{self._server} wants a login, check COINWATCH_SMTP_URL: {recipient}")
        if not recipient.good:
            refusal = _sorted(recipient)
            address_itself = recipient.final and not ABOUT_US.match(recipient.text)
            return RecipientRejected(str(refusal)) if address_itself else refusal
        return None if text.waits_for_text else _sorted(text)

    def _check_quota(self, answer: Answer) -> None:
        if answer.final and USED_UP.match(answer.text):
            raise MailServerUnavailable(
                f"{self._server} takes no more mails today, see COINWATCH_EMAILS_PER_DAY: {answer}"
            )

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def _sorted(answer: Answer) -> TemporaryEmailError | PermanentEmailError:
    return PermanentEmailError(str(answer)) if answer.final else TemporaryEmailError(str(answer))
