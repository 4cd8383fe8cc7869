"""Emails over one connection to a scripted server: each reply concerns its own email."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from coinwatch.errors import (
    EmailError,
    MailServerUnavailable,
    PermanentEmailError,
    RecipientRejected,
    SenderRejected,
    TemporaryEmailError,
)
from coinwatch.mail import smtp
from coinwatch.mail.compose import Email
from coinwatch.mail.connection import MailConnection
from coinwatch.mail.smtp import MailServer

CLOSE, SILENCE = "close", "silence"


@dataclass
class Script:
    """``replies`` by command and recipient ("RCPT bob"), or by the number of the connection for MAIL ("MAIL 2")."""

    replies: dict[str, str] = field(default_factory=dict)
    port: int = 0
    connections: int = 0
    accepted: list[tuple[str, bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def server(self) -> MailServer:
        return MailServer("127.0.0.1", self.port, "none")

    @property
    def recipients(self) -> list[str]:
        return [name for name, _ in self.accepted]


class Handler(socketserver.StreamRequestHandler):
    script: Script

    def handle(self) -> None:
        script, recipient = self.script, ""
        script.connections += 1
        number = script.connections
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            command = line.split(maxsplit=1)[0].upper().decode()
            script.commands.append(command)
            if command == "MAIL":
                recipient = ""
                self.reply(f"MAIL {number}", "250 ok")
            elif command == "RCPT":
                name = line.partition(b"<")[2].partition(b"@")[0].decode()
                if self.reply(f"RCPT {name}", "250 ok").startswith("250"):
                    recipient = name
            elif command == "DATA":
                if self.reply(f"DATA {recipient}", "354 send the message").startswith("354"):
                    self.receive(recipient)
            elif command == "QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")

    def receive(self, recipient: str) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line.removeprefix(b"."))
        if self.reply(f"text {recipient}", "250 accepted").startswith("250"):
            self.script.accepted.append((recipient, b"".join(lines)))

    def reply(self, key: str, usual: str) -> str:
        reply = self.script.replies.get(key, usual)
        if reply == SILENCE:
            while self.connection.recv(65536):
                """Wait until the sender disconnects."""
        if reply in (CLOSE, SILENCE):
            raise ConnectionAbortedError
        self.wfile.write(reply.encode() + b"\r\n")
        if reply.startswith("421"):
            raise ConnectionAbortedError
        return reply


@contextmanager
def serving(script: Script) -> Iterator[MailConnection]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Errors are expected, because connections are closed."""

    handler = type("Scripted", (Handler,), {"script": script})
    with Server(("127.0.0.1", 0), handler) as server:
        script.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with MailConnection(script.server()) as connection:
            yield connection
        server.shutdown()


def email_to(name: str, text: bytes = b"Subject: x\r\n\r\nhello\r\n") -> Email:
    return Email("alerts@coinwatch.test", f"{name}@example.org", text)


def send(script: Script, *names: str) -> dict[str, EmailError | None]:
    """Send an email to each recipient; return its error, or None."""
    results: dict[str, EmailError | None] = {}
    with serving(script) as connection:
        for name in names:
            try:
                connection.send(email_to(name))
            except MailServerUnavailable:
                raise
            except EmailError as error:
                results[name] = error
            else:
                results[name] = None
    return results


def test_all_emails_share_one_connection() -> None:
    script = Script()
    assert send(script, "ada", "bob", "cleo") == {"ada": None, "bob": None, "cleo": None}
    assert script.recipients == ["ada", "bob", "cleo"]
    assert (script.connections, script.commands[-1]) == (1, "QUIT")


@pytest.mark.parametrize(
    ("command", "reply", "kind"),
    [
        ("RCPT bob", "451 4.3.0 later", TemporaryEmailError),
        ("RCPT bob", "550 5.1.1 no such user", RecipientRejected),
        ("RCPT bob", "554 5.7.1 relaying denied", SenderRejected),
        ("RCPT bob", "550 5.4.1 access denied", PermanentEmailError),
        ("DATA bob", "451 4.3.0 later", TemporaryEmailError),
        ("DATA bob", "554 5.7.1 policy", SenderRejected),
        ("DATA bob", "554 5.6.1 unsupported", PermanentEmailError),
        ("text bob", "452 4.3.1 full", TemporaryEmailError),
        ("text bob", "554 5.7.1 looks like spam", PermanentEmailError),
    ],
)
def test_rejection_affects_only_its_own_email(command: str, reply: str, kind: type[EmailError]) -> None:
    script = Script({command: reply})
    results = send(script, "ada", "bob", "cleo", "dora")
    assert [name for name, error in results.items() if error is None] == ["ada", "cleo", "dora"]
    assert type(results["bob"]) is kind
    assert str(results["bob"]).endswith(reply)
    assert (script.recipients, script.connections) == (["ada", "cleo", "dora"], 1)


@pytest.mark.parametrize("reply", [CLOSE, SILENCE, "421 4.3.2 shutting down"])
@pytest.mark.parametrize("command", ["RCPT bob", "DATA bob", "text bob"])
def test_lost_connection_retries_the_email_and_reconnects(
    reply: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.5)
    script = Script({command: reply})
    results = send(script, "ada", "bob", "cleo")
    assert results["ada"] is results["cleo"] is None
    assert type(results["bob"]) is TemporaryEmailError
    assert "the connection to 127.0.0.1" in str(results["bob"])
    assert (script.recipients, script.connections) == (["ada", "cleo"], 2)


@pytest.mark.parametrize("reply", [CLOSE, "421 4.7.0 too many messages on this connection"])
def test_limit_of_emails_per_connection_costs_no_attempt(reply: str) -> None:
    script = Script()
    with serving(script) as connection:
        for name in ("ada", "bob", "cleo", "dora"):
            connection.send(email_to(name))
            script.replies = {f"MAIL {script.connections}": reply}
    assert script.recipients == ["ada", "bob", "cleo", "dora"]
    assert script.connections == 4


@pytest.mark.parametrize(
    ("command", "reply", "setting"),
    [
        ("MAIL 1", "550 5.7.1 not yours", "COINWATCH_EMAIL_FROM"),
        ("MAIL 1", "452 4.3.1 disk full", "452"),
        ("RCPT ada", "530 5.7.0 authenticate first", "COINWATCH_SMTP_URL"),
        ("RCPT ada", "550 5.4.5 Daily user sending limit exceeded", "COINWATCH_EMAILS_PER_DAY"),
        ("text ada", "550 5.4.5 Daily user sending limit exceeded", "COINWATCH_EMAILS_PER_DAY"),
    ],
)
def test_reply_affecting_all_emails_stops_the_run(command: str, reply: str, setting: str) -> None:
    script = Script({command: reply})
    with pytest.raises(MailServerUnavailable, match=setting) as caught:
        send(script, "ada", "bob")
    assert reply in str(caught.value)
    assert script.recipients == []


def test_lines_starting_with_a_dot_arrive_unchanged() -> None:
    texts = [b".\r\n..\r\n.x\r\n", b"Subject: x\r\n\r\n.\r\nQUIT\r\n", b"no end"]
    script = Script()
    with serving(script) as connection:
        for text in texts:
            connection.send(email_to("ada", text))
    assert [text for _, text in script.accepted] == [*texts[:2], b"no end\r\n"]
