"""An SMTP server that reports the points of each email, so that faults can be injected there, or fails itself."""

import re
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^@>]+)@", re.IGNORECASE | re.MULTILINE)
LONGEST_SILENCE = 120.0
DISCARD_ON_CLOSE = struct.pack("ii", 1, 0)  # close() resets the connection


@dataclass(frozen=True)
class AcceptedEmail:
    """An email that the server has received up to the final dot; ``at`` is on the monotonic clock."""

    message_id: str
    recipient: str
    data: bytes
    at: float


@dataclass(frozen=True)
class ServerFault:
    """How the server fails once, the ``nth`` time that it reaches ``where``.

    ``where``: connect, ehlo, mail, rcpt, data, body (in the middle of it), dot (the email is not kept), accepted (after
    the final dot; the email is kept). ``what``: close (in the middle of a reply), silence, or a reply such as
    ``451 4.3.0 try later``.
    """

    where: str
    what: str
    nth: int = 1


@dataclass
class FaultyMailServer:
    """What the server accepted and how it behaves.

    ``on_point`` is called at rcpt, dot and replied, in the connection's thread, with how often it was reached.
    """

    port: int = 0
    accepted: list[AcceptedEmail] = field(default_factory=list)
    server_fault: ServerFault | None = None
    server_failed_at: float | None = None
    server_failed_recipient: str | None = None
    on_point: Callable[[str, int], None] | None = None
    connections: int = 0  # currently open
    lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    def reset(self) -> None:
        self.accepted, self.server_fault, self.server_failed_at, self.server_failed_recipient = [], None, None, None
        self.on_point, self._seen = None, Counter()

    def opened(self, change: int) -> None:
        with self.lock:
            self.connections += change

    def count(self, where: str) -> int:
        with self.lock:
            self._seen[where] += 1
            return self._seen[where]


@contextmanager
def fault_mail_server() -> Iterator[FaultyMailServer]:
    """Start the server on a free port, with a thread per connection."""
    mail_server = FaultyMailServer()

    class Handler(_Handler):
        server_state = mail_server

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """Errors are expected, because clients are killed."""

    with Server(("127.0.0.1", 0), Handler) as server:
        mail_server.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield mail_server
        finally:
            server.shutdown()


class _Disconnected(Exception):
    """The client has disconnected, or was."""


class _Handler(socketserver.StreamRequestHandler):
    server_state: FaultyMailServer
    disable_nagle_algorithm = True
    sender = False
    recipient = ""

    def handle(self) -> None:
        self.server_state.opened(1)
        try:
            self._reply("connect", "220 ready")
            while line := self.rfile.readline():
                self._command(line[:4].upper(), line)
        except (_Disconnected, OSError):
            return
        finally:
            self.server_state.opened(-1)

    def _command(self, verb: bytes, line: bytes) -> None:
        match verb:
            case b"EHLO":
                self._reply("ehlo", "250-faulty.example", "250 8BITMIME")
            case b"MAIL":
                self.sender, self.recipient = self._reply("mail", "250 2.1.0 ok"), ""
            case b"RCPT" if not self.sender:
                self._send("503 5.5.1 MAIL first")
            case b"RCPT":
                self.recipient = line.partition(b":")[2].strip().strip(b"<>").decode()
                if self._reply("rcpt", "250 2.1.5 ok"):
                    self._point("rcpt")
                else:
                    self.recipient = ""
            case b"DATA" if not self.recipient:
                self._send("554 5.5.1 no valid recipients")
            case b"DATA":
                if self._reply("data", "354 send the message"):
                    self._accept(self._read_body())
            case b"QUIT":
                self._send("221 2.0.0 bye")
                raise _Disconnected
            case _:
                self._send("250 2.0.0 ok")

    def _read_body(self) -> bytes:
        lines: list[bytes] = []
        server_fault = self._server_fault("body")
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise _Disconnected
            lines.append(line[1:] if line.startswith(b".") else line)
            if server_fault and len(lines) == 5:
                self._fail(server_fault)
        return b"".join(lines)

    def _accept(self, data: bytes) -> None:
        server_fault = self._server_fault("dot")
        if server_fault:
            self._fail(server_fault)
            return
        found = MESSAGE_ID.search(data)
        email = AcceptedEmail(found.group(1).decode() if found else "", self.recipient, data, time.monotonic())
        with self.server_state.lock:
            self.server_state.accepted.append(email)
        self._point("dot")
        if self._reply("accepted", "250 2.0.0 queued"):
            self._point("replied")

    def _reply(self, where: str, *lines: str) -> bool:
        """Reply, unless a fault is due here; return whether the reply was sent."""
        server_fault = self._server_fault(where)
        if server_fault:
            self._fail(server_fault)
            return False
        for line in lines:
            self._send(line)
        return True

    def _server_fault(self, where: str) -> ServerFault | None:
        server_fault = self.server_state.server_fault
        if (
            server_fault is None
            or server_fault.where != where
            or self.server_state.count(f"server_fault {where}") != server_fault.nth
        ):
            return None
        self.server_state.server_failed_at, self.server_state.server_failed_recipient = time.monotonic(), self.recipient
        return server_fault

    def _fail(self, server_fault: ServerFault) -> None:
        if server_fault.what == "close":
            self.wfile.write(b"25")
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD_ON_CLOSE)
            self.connection.close()
            raise _Disconnected
        if server_fault.what == "silence":
            self.connection.settimeout(LONGEST_SILENCE)
            while self.connection.recv(65536):
                pass
            raise _Disconnected
        self._send(server_fault.what)

    def _point(self, name: str) -> None:
        if self.server_state.on_point is not None:
            self.server_state.on_point(name, self.server_state.count(name))

    def _send(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")
