"""An SMTP server that stops at a chosen point of a chosen mail to let a fault happen, or is itself the fault."""

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
DISCARD_ON_CLOSE = struct.pack("ii", 1, 0)  # so that close() is a reset and no polite end


@dataclass(frozen=True)
class Taken:
    """A mail of which the server has everything up to the final dot; ``at`` is on the monotonic clock."""

    message_id: str
    recipient: str
    data: bytes
    at: float


@dataclass(frozen=True)
class Trouble:
    """How the server misbehaves once, at the ``nth`` time that it gets to ``where``.

    ``where``: connect, ehlo, mail, rcpt, data, body (in the middle of it), dot (nothing of the mail is kept), taken
    (after the final dot; the mail is kept). ``what``: close (in the middle of an answer), silence, or an answer such as
    ``451 4.3.0 try later``.
    """

    where: str
    what: str
    nth: int = 1


@dataclass
class FarEnd:
    """What the server took and how it behaves; ``on_point`` is called at rcpt, dot and answered, in the connection's
    thread, with the number of times it was called there."""

    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    trouble: Trouble | None = None
    troubled_at: float | None = None
    troubled_recipient: str | None = None
    on_point: Callable[[str, int], None] | None = None
    pipelining: bool = True
    connections: int = 0  # that are open
    lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    def reset(self) -> None:
        self.taken, self.trouble, self.troubled_at, self.troubled_recipient = [], None, None, None
        self.on_point, self._seen = None, Counter()

    def opened(self, change: int) -> None:
        with self.lock:
            self.connections += change

    def count(self, where: str) -> int:
        with self.lock:
            self._seen[where] += 1
            return self._seen[where]


@contextmanager
def fault_mail_server() -> Iterator[FarEnd]:
    """The server on a free port, a thread per connection."""
    exchange_server = FarEnd()

    class Handler(_Handler):
        house = exchange_server

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that was killed is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        exchange_server.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield exchange_server
        finally:
            server.shutdown()


class _Gone(Exception):
    """This connection is over."""


class _Handler(socketserver.StreamRequestHandler):
    house: FarEnd
    disable_nagle_algorithm = True
    sender = False
    recipient = ""

    def handle(self) -> None:
        self.house.opened(1)
        try:
            self._answer("connect", "220 far end")
            while line := self.rfile.readline():
                self._command(line[:4].upper(), line)
        except (_Gone, OSError):
            return
        finally:
            self.house.opened(-1)

    def _command(self, verb: bytes, line: bytes) -> None:
        match verb:
            case b"EHLO":
                more = ["250-PIPELINING"] if self.house.pipelining else []
                self._answer("ehlo", "250-far.end", *more, "250 8BITMIME")
            case b"MAIL":
                self.sender, self.recipient = self._answer("mail", "250 2.1.0 ok"), ""
            case b"RCPT" if not self.sender:
                self._say("503 5.5.1 MAIL first")
            case b"RCPT":
                self.recipient = line.partition(b":")[2].strip().strip(b"<>").decode()
                if self._answer("rcpt", "250 2.1.5 ok"):
                    self._point("rcpt")
                else:
                    self.recipient = ""
            case b"DATA" if not self.recipient:
                self._say("554 5.5.1 no valid recipients")
            case b"DATA":
                if self._answer("data", "354 go on"):
                    self._take(self._read_body())
            case b"QUIT":
                self._say("221 2.0.0 bye")
                raise _Gone
            case _:
                self._say("250 2.0.0 ok")

    def _read_body(self) -> bytes:
        lines: list[bytes] = []
        trouble = self._trouble("body")
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise _Gone
            lines.append(line[1:] if line.startswith(b".") else line)
            if trouble and len(lines) == 5:
                self._behave(trouble)
        return b"".join(lines)

    def _take(self, data: bytes) -> None:
        trouble = self._trouble("dot")
        if trouble:
            self._behave(trouble)
            return
        found = MESSAGE_ID.search(data)
        mail = Taken(found.group(1).decode() if found else "", self.recipient, data, time.monotonic())
        with self.house.lock:
            self.house.taken.append(mail)
        self._point("dot")
        if self._answer("taken", "250 2.0.0 kept"):
            self._point("answered")

    def _answer(self, where: str, *lines: str) -> bool:
        """Say that, unless trouble waits here; whether it was said."""
        trouble = self._trouble(where)
        if trouble:
            self._behave(trouble)
            return False
        for line in lines:
            self._say(line)
        return True

    def _trouble(self, where: str) -> Trouble | None:
        trouble = self.house.trouble
        if trouble is None or trouble.where != where or self.house.count(f"trouble {where}") != trouble.nth:
            return None
        self.house.troubled_at, self.house.troubled_recipient = time.monotonic(), self.recipient
        return trouble

    def _behave(self, trouble: Trouble) -> None:
        if trouble.what == "close":
            self.wfile.write(b"25")
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD_ON_CLOSE)
            self.connection.close()
            raise _Gone
        if trouble.what == "silence":
            self.connection.settimeout(LONGEST_SILENCE)
            while self.connection.recv(65536):
                pass
            raise _Gone
        self._say(trouble.what)

    def _point(self, name: str) -> None:
        if self.house.on_point is not None:
            self.house.on_point(name, self.house.count(name))

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")
