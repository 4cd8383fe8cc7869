"""Messages over one connection to a server that answers what it is told to: each answer lands on its own message."""

import select
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import Mock

import pytest

from coinwatch.errors import (
    EmailError,
    MailServerUnavailable,
    PermanentEmailError,
    RecipientRejected,
    TemporaryEmailError,
)
from coinwatch.mail import smtp, wire
from coinwatch.mail.connection import MailConnection
from coinwatch.mail.messages import Mail
from coinwatch.mail.smtp import MailServer

CLOSE, SILENCE = "close", "silence"


@dataclass
class Script:
    """``answers`` by command and recipient ("RCPT bob"), MAIL by the number of the connection ("MAIL 2")."""

    pipelining: bool = True
    answers: dict[str, str] = field(default_factory=dict)
    text_without_recipient: bool = False
    port: int = 0
    connections: int = 0
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ahead: list[bool] = field(default_factory=list)
    silent: bool = False

    def server(self) -> MailServer:
        return MailServer("127.0.0.1", self.port, "none")


class Handler(socketserver.StreamRequestHandler):
    """Commands in the order in which they come, from a buffer of its own that shows what came ahead of an answer."""

    script: Script

    def handle(self) -> None:
        self.unread, self.recipient = b"", ""
        script = self.script
        script.connections += 1
        number = script.connections
        self.wfile.write(b"220 here\r\n")
        while line := self.line():
            command = line.split(maxsplit=1)[0].upper().decode()
            script.said.append(command)
            if command == "EHLO":
                extension = b"250-PIPELINING\r\n" if script.pipelining else b""
                self.wfile.write(b"250-here\r\n" + extension + b"250 8BITMIME\r\n")
            elif command == "MAIL":
                self.recipient = ""
                self.say(f"MAIL {number}", "250 ok")
            elif command == "RCPT":
                name = line.partition(b"<")[2].partition(b"@")[0].decode()
                if self.say(f"RCPT {name}", "250 ok").startswith("250"):
                    self.recipient = name
            elif command == "DATA":
                if not self.recipient and not script.text_without_recipient:
                    self.wfile.write(b"503 no recipient\r\n")
                elif self.say(f"DATA {self.recipient}", "354 go on").startswith("354"):
                    self.text()
            elif command == "QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")

    def text(self) -> None:
        lines = []
        while (line := self.line()) != b".\r\n":
            if not line:
                return
            lines.append(line.removeprefix(b"."))
        if not self.recipient:
            self.wfile.write(b"554 nobody to send it to\r\n")
            return
        ready = bool(self.unread) or bool(select.select([self.connection], [], [], 0.1)[0])
        self.script.ahead.append(ready)
        if self.say(f"text {self.recipient}", "250 kept").startswith("250"):
            self.script.taken.append((self.recipient, b"".join(lines)))

    def say(self, key: str, usual: str) -> str:
        answer = self.script.answers.get(key, usual)
        if answer in (CLOSE, SILENCE):
            if answer == SILENCE:
                self.script.silent = True
                while self.connection.recv(65536):
                    """Until the sender leaves."""
                self.script.silent = False
            raise ConnectionAbortedError
        self.wfile.write(answer.encode() + b"\r\n")
        if answer.startswith("421"):
            raise ConnectionAbortedError
        return answer

    def line(self) -> bytes:
        while b"\n" not in self.unread:
            more = self.connection.recv(65536)
            if not more:
                return b""
            self.unread += more
        line, end, self.unread = self.unread.partition(b"\n")
        return line + end


@contextmanager
def serving(script: Script) -> Iterator[Script]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Connections are closed on purpose here."""

    handler = type("Scripted", (Handler,), {"script": script})
    with Server(("127.0.0.1", 0), handler) as server:
        script.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield script
        server.shutdown()


def mail_to(name: str, text: bytes = b"Subject: x\r\n\r\nhello\r\n") -> Mail:
    return Mail("alerts@coinwatch.test", f"{name}@example.org", text)


def send(script: Script, *names: str) -> dict[str, EmailError | None]:
    with serving(script), MailConnection(script.server()) as connection:
        return dict(connection.send((name, mail_to(name)) for name in names))


def patient_for(monkeypatch: pytest.MonkeyPatch, script: Script, tenths: int) -> Mock:
    """What a connection is to call in every tenth of a second that it waits; so many of a server's silence are all of
    the fifteen seconds.
    """
    passed = 0.0

    def wait() -> None:
        nonlocal tenths, passed
        tenths -= script.silent
        if tenths == 0:
            passed = smtp.TIMEOUT_SECONDS

    monkeypatch.setattr(wire, "time", Mock(monotonic=lambda: time.monotonic() + passed))
    return Mock(side_effect=wait)


def names_taken(script: Script) -> list[str]:
    return [name for name, _ in script.taken]


@pytest.mark.parametrize("pipelining", [True, False])
def test_the_next_envelope_goes_with_the_text_only_where_the_server_says_so(pipelining: bool) -> None:
    script = Script(pipelining)
    assert send(script, "ada", "bob", "cleo") == {"ada": None, "bob": None, "cleo": None}
    assert names_taken(script) == ["ada", "bob", "cleo"]
    assert script.ahead == [pipelining, pipelining, False], "the last has nobody after it"
    assert (script.connections, script.said[-1]) == (1, "QUIT")


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("command", "answer", "kind"),
    [
        ("RCPT bob", "451 4.3.0 later", TemporaryEmailError),
        ("RCPT bob", "550 5.1.1 no such user", RecipientRejected),
        ("RCPT bob", "554 5.7.1 relaying denied", PermanentEmailError),
        ("DATA bob", "451 4.3.0 later", TemporaryEmailError),
        ("text bob", "452 4.3.1 full", TemporaryEmailError),
        ("text bob", "554 5.7.1 looks like spam", PermanentEmailError),
    ],
)
def test_a_refusal_lands_on_its_own_message(
    pipelining: bool, command: str, answer: str, kind: type[EmailError]
) -> None:
    script = Script(pipelining, {command: answer})
    results = send(script, "ada", "bob", "cleo", "dora")
    assert [name for name, error in results.items() if error is None] == ["ada", "cleo", "dora"]
    assert type(results["bob"]) is kind
    assert str(results["bob"]) == answer
    assert (names_taken(script), script.connections) == (["ada", "cleo", "dora"], 1)


def test_a_server_that_waits_for_a_text_without_a_recipient_gets_an_empty_one() -> None:
    script = Script(answers={"RCPT bob": "550 5.1.1 no such user"}, text_without_recipient=True)
    results = send(script, "ada", "bob", "cleo")
    assert isinstance(results["bob"], RecipientRejected)
    assert (names_taken(script), script.connections, script.said[-1]) == (["ada", "cleo"], 1, "QUIT")


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("answer", [CLOSE, SILENCE, "421 4.3.2 shutting down"])
@pytest.mark.parametrize("command", ["RCPT bob", "DATA bob", "text bob"])
def test_a_message_at_which_the_connection_ends_is_tried_later_and_the_next_goes_over_a_new_one(
    pipelining: bool, answer: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(pipelining, {command: answer})
    idle = patient_for(monkeypatch, script, tenths=1)
    with serving(script), MailConnection(script.server(), idle) as connection:
        results = dict(connection.send((name, mail_to(name)) for name in ("ada", "bob", "cleo")))
    assert results["ada"] is results["cleo"] is None
    assert type(results["bob"]) is TemporaryEmailError
    assert "the connection to 127.0.0.1" in str(results["bob"])
    assert (names_taken(script), script.connections) == (["ada", "cleo"], 2)


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_server_that_carries_few_mails_a_connection_costs_no_message_a_try(pipelining: bool) -> None:
    script = Script(pipelining)
    with serving(script), MailConnection(script.server()) as connection:
        results = []
        for name, error in connection.send((name, mail_to(name)) for name in ("ada", "bob", "cleo", "dora")):
            results.append((name, error))
            # The answer to the next MAIL is already under way; the one after it finds the door closed.
            script.answers = {f"MAIL {script.connections}": "421 4.7.0 too many messages on this connection"}
    assert results == [("ada", None), ("bob", None), ("cleo", None), ("dora", None)]
    assert names_taken(script) == ["ada", "bob", "cleo", "dora"]
    assert script.connections >= 2


def test_a_refused_sender_or_a_wanted_login_stops_everything() -> None:
    with pytest.raises(MailServerUnavailable, match=r"check COINWATCH_EMAIL_FROM: 550 5\.7\.1 not yours"):
        send(Script(answers={"MAIL 1": "550 5.7.1 not yours"}), "ada", "bob")
    with pytest.raises(MailServerUnavailable, match="takes no mail now: 452"):
        send(Script(answers={"MAIL 1": "452 4.3.1 disk full"}), "ada", "bob")
    with pytest.raises(MailServerUnavailable, match="wants a login"):
        send(Script(answers={"RCPT ada": "530 5.7.0 authenticate first"}), "ada", "bob")


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("command", ["RCPT bob", "text bob"])
def test_a_quota_that_is_used_up_gives_up_no_mail(pipelining: bool, command: str) -> None:
    script = Script(pipelining, {command: "550 5.4.5 Daily user sending limit exceeded"})
    with pytest.raises(
        MailServerUnavailable, match=r"takes no more mails today, see COINWATCH_EMAILS_PER_DAY: 550 5\.4\.5"
    ):
        send(script, "ada", "bob", "cleo")
    assert names_taken(script) == ["ada"]


def test_what_cannot_be_claimed_or_built_comes_out_after_the_answers_that_are_due() -> None:
    def mails() -> Iterator[tuple[str, Mail]]:
        yield "ada", mail_to("ada")
        yield "bob", mail_to("bob")
        raise RuntimeError("no more")

    answered: list[tuple[str, EmailError | None]] = []
    with (
        serving(Script()) as script,
        MailConnection(script.server()) as connection,
        pytest.raises(RuntimeError, match="no more"),
    ):
        answered.extend(connection.send(mails()))
    assert answered == [("ada", None), ("bob", None)]


def test_lines_that_begin_with_a_dot_arrive_as_they_were_and_end_nothing() -> None:
    texts = [b".\r\n..\r\n.x\r\n", b"Subject: x\r\n\r\n.\r\nQUIT\r\n", b"no end", b"bare\n.\nMAIL\r\n"]
    script = Script()
    with serving(script), MailConnection(script.server()) as connection:
        assert [error for _, error in connection.send((text, mail_to("ada", text)) for text in texts)] == [None] * 4
    assert [text for _, text in script.taken] == [*texts[:2], b"no end\r\n", texts[3]]


def test_an_address_that_would_be_a_command_of_its_own_is_refused_here() -> None:
    script = Script()
    mails = [Mail("a@coinwatch.test", "ada@example.org>\r\nRCPT TO:<eve@example.org", b"x\r\n"), mail_to("bob")]
    with serving(script), MailConnection(script.server()) as connection:
        [first, second] = [error for _, error in connection.send(enumerate(mails))]
    assert (type(first), second, names_taken(script)) == (PermanentEmailError, None, ["bob"])


def test_while_the_server_is_silent_what_was_accepted_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(answers={"text ada": SILENCE})
    idle = patient_for(monkeypatch, script, tenths=5)
    with serving(script), MailConnection(script.server(), idle) as connection:
        [(_, error)] = connection.send([("ada", mail_to("ada"))])
    assert "no answer within 15 s" in str(error)
    assert idle.call_count >= 5, "every tenth of a second"
