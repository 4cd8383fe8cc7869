"""The words exchanged with a mail server: several commands a write, answers read in their order.

With PIPELINING (RFC 2920) a message costs one round trip: its text goes in one write together with the next message's
MAIL, RCPT and DATA; DATA is always the last command of a write. A server without PIPELINING gets each command after
the answer to the one before.
"""

import contextlib
import smtplib
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from coinwatch.mail.messages import Mail

IDLE_SECONDS = 0.1
QUIT_SECONDS = 2
LONGEST_ANSWER = 65536
RESET, END_OF_TEXT = b"RSET\r\n", b".\r\n"
CLOSING = 421


class Answer(NamedTuple):
    """A reply of the server."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"

    @property
    def good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def final(self) -> bool:
        """A refusal that another try will not change."""
        return 500 <= self.code < 600

    @property
    def waits_for_text(self) -> bool:
        return self.code == 354


NOT_ASKED = Answer(503, "not asked")


class Lost(Exception):
    """The connection is of no use any more. ``untouched``: before a used one had said anything to this message."""

    untouched = False


class Wire:
    """A greeted connection. Every method but ``quit`` and ``close`` raises Lost."""

    def __init__(self, smtp: smtplib.SMTP, idle: Callable[[], None]) -> None:
        if smtp.sock is None:
            raise Lost("not connected")
        self._smtp = smtp
        self._socket = smtp.sock
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._idle = idle
        self._patience = smtp.timeout
        self._pipelining = smtp.has_extn("pipelining")
        self._used = False
        self._unread = b""
        self._announced: Mail | None = None  # MAIL, RCPT and DATA are written, their answers not read
        self._mend = b""  # what ends the transaction that was refused half-way
        self._midway = False  # the server would not understand a QUIT now

    def offer(self, mail: Mail) -> tuple[Answer, Answer, Answer]:
        """The answers to MAIL, RCPT and DATA; when the last is 354, the text has to come next."""
        envelope = _envelope(mail)
        answers: list[Answer] = []
        try:
            if self._pipelining:
                if self._announced is not mail:
                    self._write(self._mend + b"".join(envelope))
                if self._mend:
                    self._answer()
            elif self._mend:
                self._write(self._mend)
                self._answer()
            self._announced, self._mend = None, b""
            for command in envelope:
                if not self._pipelining:
                    if answers and not answers[-1].good:
                        answers.append(NOT_ASKED)
                        continue
                    self._write(command)
                answers.append(self._answer())
        except Lost as lost:
            lost.untouched = self._used and not answers
            raise
        self._midway = answers[2].waits_for_text
        if not (answers[0].good and answers[1].good and self._midway):
            # RFC 2920, 3.1: a server may wait for a text although it took no recipient; an empty one goes to nobody.
            self._mend, self._midway = (END_OF_TEXT if self._midway else RESET), False
        return answers[0], answers[1], answers[2]

    def write_text(self, mail: Mail, following: Mail | None) -> None:
        """The mail's text with its final dot, and in the same write the next envelope where the server allows that."""
        if following is not None and self._pipelining:
            self._announced = following
            self._write(b"".join((_stuffed(mail.data), END_OF_TEXT, *_envelope(following))))
        else:
            self._write(_stuffed(mail.data) + END_OF_TEXT)

    def answer_to_text(self) -> Answer:
        """What the server says to the text that was written; a good answer makes the message the server's."""
        answer = self._answer()
        self._used = True
        self._midway = self._announced is not None
        return answer

    def quit(self) -> None:
        """Leave politely where that is possible."""
        with contextlib.suppress(OSError, Lost):
            if not self._midway:
                self._write(self._mend + b"QUIT\r\n")
                self._socket.settimeout(QUIT_SECONDS)
                self._socket.recv(LONGEST_ANSWER)
        self.close()

    def close(self) -> None:
        self._smtp.close()

    def _write(self, data: bytes) -> None:
        self._midway = True
        try:
            self._socket.settimeout(self._patience)
            self._socket.sendall(data)
        except OSError as error:
            raise Lost(str(error)) from error

    def _answer(self) -> Answer:
        """The next reply, however many lines it has."""
        texts = []
        while True:
            line = self._line()
            texts.append(line[4:].decode("utf-8", "replace").strip())
            if line[3:4] != b"-":
                break
        text = "\n".join(texts)
        if not line[:3].isdigit():
            raise Lost(f"the server says {line[:80]!r}")
        if (code := int(line[:3])) == CLOSING:
            raise Lost(f"{code} {text}")
        return Answer(code, text)

    def _line(self) -> bytes:
        line, end, self._unread = self._unread.partition(b"\n")
        while not end:
            more, end, self._unread = self._receive().partition(b"\n")
            line += more
            if len(line) > LONGEST_ANSWER:
                raise Lost("an answer without an end")
        return line

    def _receive(self) -> bytes:
        deadline = time.monotonic() + self._patience
        self._socket.settimeout(IDLE_SECONDS)
        while True:
            try:
                data = self._socket.recv(LONGEST_ANSWER)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise Lost(f"no answer within {self._patience:g} s") from None
                self._idle()
            except OSError as error:
                raise Lost(str(error)) from error
            else:
                if not data:
                    raise Lost("the server closed it")
                return data


def _envelope(mail: Mail) -> tuple[bytes, bytes, bytes]:
    return f"MAIL FROM:<{mail.sender}>\r\n".encode(), f"RCPT TO:<{mail.recipient}>\r\n".encode(), b"DATA\r\n"


def _stuffed(data: bytes) -> bytes:
    """The text as it goes over the wire: a dot more on lines that begin with one, a line end at the end."""
    if data.startswith(b"."):
        data = b"." + data
    if b"\n." in data:
        data = data.replace(b"\n.", b"\n..")
    return data if data.endswith(b"\r\n") else data + b"\r\n"
