"""Real SMTP servers: one stores the emails it accepts, the other sends one reply at one step of the conversation."""

import socketserver
import ssl
import subprocess
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Mailbox:
    """The received emails, and how to reply: ``replies`` maps a recipient to the reply to its RCPT command.

    ``on_message`` is called with the number of messages so far, before the last one is acknowledged.
    """

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    data_reply: str = ""
    sender_reply: str = ""
    connections: int = 0
    client_names: list[str] = field(default_factory=list)
    on_message: Callable[[int], None] = lambda number: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        with self.lock:
            self.connections += 1
            self.client_names.append(hostname)
        session.host_name = hostname
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.sender_reply:
            return self.sender_reply
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self.replies.get(address):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_reply:
            return self.data_reply
        content = cast("bytes", envelope.content)
        with self.lock:
            self.raw.append(content)
            self.senders.append(str(envelope.mail_from))
            self.messages.append(cast("EmailMessage", message_from_bytes(content, policy=cast("Any", default))))
            self.on_message(len(self.messages))
        return "250 OK"


class _Controller(Controller):
    def factory(self) -> SMTP:
        return SMTP(self.handler, enable_SMTPUTF8=False)


@contextmanager
def smtp_server() -> Iterator[Mailbox]:
    from tests.support.ports import free_port

    mailbox = Mailbox(port=free_port())
    controller = _Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


STEPS = ("greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "text")
RECIPIENT_STEPS = STEPS[STEPS.index("RCPT") :]
CHALLENGE = b"<1896.697170952@mail.example.org>"
USUAL_REPLIES = {
    "greeting": ["220 mail.example.org ready"],
    "EHLO": ["250-mail.example.org", "250-STARTTLS", "250 AUTH PLAIN"],
    "STARTTLS": ["220 2.0.0 start"],
    "AUTH": ["235 2.7.0 welcome"],
    "MAIL": ["250 2.1.0 ok"],
    "RCPT": ["250 2.1.5 ok"],
    "DATA": ["354 send the message"],
    "text": ["250 2.0.0 queued"],
}


@dataclass
class ReplyServer:
    """A server that sends one reply at one step, and otherwise accepts everything.

    ``lines`` are the reply without line ends; none closes the connection, and so does a reply of 421, or any with
    ``closes``. With ``recipient``, it concerns only emails to this address. ``logins`` are what the client said to log
    in by ``mechanism``, decoded.
    """

    step: str = ""
    lines: list[bytes] = field(default_factory=list)
    recipient: str | None = None
    certificate: tuple[Path, Path] | None = None
    mechanism: str = "PLAIN"
    closes: bool = False
    port: int = 0
    recipients: list[str] = field(default_factory=list)
    tried: int = 0
    logins: list[bytes] = field(default_factory=list)

    def reply_to(self, step: str, recipient: str) -> list[bytes]:
        if step != self.step or (self.recipient is not None and recipient not in {"", self.recipient}):
            return [line.replace("PLAIN", self.mechanism).encode() for line in USUAL_REPLIES[step]]
        return self.lines


@contextmanager
def reply_server(server: ReplyServer) -> Iterator[ReplyServer]:
    """Start it on a free port, with a thread per connection."""
    handler = type("Handler", (_ReplyHandler,), {"state": server})
    with _ThreadingServer(("127.0.0.1", 0), handler) as listening:
        server.port = listening.server_address[1]
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()


class _ThreadingServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Errors are expected, because connections are closed."""


class _ReplyHandler(socketserver.StreamRequestHandler):
    state: ReplyServer
    recipient = ""

    def handle(self) -> None:
        positive = self.reply("greeting")
        while positive is not None and (line := self.rfile.readline()):
            verb, _, rest = line.strip().decode("utf-8", "replace").partition(" ")
            positive = self.command(verb.upper(), rest)

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # the encrypted one, which the server does not know

    def command(self, verb: str, rest: str) -> bool | None:
        """Reply to a command; None closes the connection."""
        match verb:
            case "STARTTLS":
                positive = self.reply("STARTTLS")
                if positive:
                    self.encrypt()
                return positive
            case "AUTH":
                self.log_in(*rest.partition(" ")[::2])
                return self.reply("AUTH")
            case "MAIL":
                self.recipient = ""
                return self.reply("MAIL")
            case "RCPT":
                self.state.tried += 1
                self.recipient = rest.partition("<")[2].partition(">")[0]
                return self.reply("RCPT")
            case "DATA":
                return self.receive(self.reply("DATA"))
            case "HELO" | "EHLO":
                return self.reply("EHLO")
            case "QUIT":
                return None
            case _:
                self.wfile.write(b"250 ok\r\n")
                return True

    def log_in(self, mechanism: str, first: str) -> None:
        """Record what the client says: PLAIN says all at once, LOGIN the user first, CRAM-MD5 answers a challenge."""
        if first:
            self.state.logins.append(b64decode(first))
        if mechanism != "PLAIN":
            self.wfile.write(b"334 " + b64encode(CHALLENGE) + b"\r\n")
            self.state.logins.append(b64decode(self.rfile.readline()))

    def receive(self, positive: bool | None) -> bool | None:
        if not positive:
            return positive
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return None
        accepted = self.reply("text")
        if accepted:
            self.state.recipients.append(self.recipient)
        return accepted

    def reply(self, step: str) -> bool | None:
        """Whether the reply was positive; None if the connection is to be closed."""
        lines = self.state.reply_to(step, self.recipient)
        for line in lines:
            self.wfile.write(line + b"\r\n")
        if not lines or lines[0].startswith(b"421") or (self.state.closes and step == self.state.step):
            return None
        return lines[0][:1] in {b"2", b"3"}

    def encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert self.state.certificate is not None
        context.load_cert_chain(*self.state.certificate)
        self.connection = self.request = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)


def self_signed_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
