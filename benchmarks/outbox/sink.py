"""A fast SMTP server that counts the emails with each Message-ID."""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MESSAGE_ID = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE)
END = b"\r\n.\r\n"


@dataclass
class CountingSink:
    """``accepted`` counts the emails with each Message-ID."""

    port: int = 0
    accepted: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"


@contextmanager
def counting_sink() -> Iterator[CountingSink]:
    """The server on a free port, all its connections in one thread."""
    sink = CountingSink()
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: _Connection(sink), "127.0.0.1", 0, backlog=100))
    sink.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class _Connection(asyncio.Protocol):
    def __init__(self, sink: CountingSink) -> None:
        self._sink = sink
        self._buffer = b""
        self._in_text = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        replies = b"".join(self._replies())
        if replies:
            self._send(replies)

    def _replies(self) -> Iterator[bytes]:
        while True:
            end = END if self._in_text else b"\r\n"
            text, found, rest = self._buffer.partition(end)
            if not found:
                return
            self._buffer = rest
            if self._in_text:
                self._in_text = False
                message_id = MESSAGE_ID.search(text)
                self._sink.accepted[message_id.group(1).decode() if message_id else ""] += 1
                yield b"250 queued\r\n"
                continue
            match text[:4].upper():
                case b"EHLO":
                    yield b"250 sink\r\n"
                case b"DATA":
                    self._in_text = True
                    yield b"354 send the message\r\n"
                case b"QUIT":
                    yield b"221 bye\r\n"
                case _:
                    yield b"250 ok\r\n"

    def _send(self, reply: bytes) -> None:
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.write(reply)
