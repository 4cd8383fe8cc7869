"""Time limits for receiving a request and for sending a response, which uvicorn does not have."""

import asyncio
import sys
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_SECONDS = 30.0
UNREAD_SECONDS = 60.0
MAX_HEAD_BYTES = 64 * 1024

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
else:
    _Protocol = object


class _Deadlines(_Protocol):
    """Closes a connection whose request, headers and body, has not arrived REQUEST_SECONDS after its first byte.

    The first request of a connection has as long from when the connection is opened. A client that does not read a
    response is disconnected after UNREAD_SECONDS. Otherwise, clients that send or read a byte now and then could hold
    any number of connections open. The line and headers of a request may have MAX_HEAD_BYTES.
    """

    deadline: asyncio.TimerHandle | None = None
    unread: asyncio.TimerHandle | None = None
    previous: object = None  # the request before the one that is being received
    head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        if self.deadline is None:
            self.previous = self.cycle
            self.head_bytes = 0
        self.head_bytes += len(data)
        super().data_received(data)
        current = self.cycle
        if current is not self.previous and (current.response_complete or not current.more_body):
            self._cancel()
            return
        if current is self.previous and self.head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers of the request are too long.")
        elif self.deadline is None:
            self._start()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.unread is not None:
            self.unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        if self.unread is not None:
            self.unread.cancel()
        super().connection_lost(exc)

    def _start(self) -> None:
        self.deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.close)

    def _cancel(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        self.deadline = None


class _H11Protocol(_Deadlines, H11Protocol):  # type: ignore[misc]  # both have what _Deadlines uses
    """uvicorn's parser in pure Python."""


class DeadlineProtocol(_Deadlines, HttpToolsProtocol):
    """uvicorn's parser in C, which takes a quarter of the time, with deadlines.

    It loses the body of a request that proposes another protocol, as some clients do (h2c). Such a request continues on
    the parser in Python, which ignores the proposal.
    """

    data = b""

    def data_received(self, data: bytes) -> None:
        self.data = data
        super().data_received(data)

    def _should_upgrade(self) -> bool:
        """uvicorn then leaves the request to the next method."""
        return self._get_upgrade() is not None

    def handle_websocket_upgrade(self) -> None:
        """Called while the exception is handled that says where the body begins in the received data."""
        stopped = sys.exception()
        if stopped is None or (self.cycle is not None and not self.cycle.response_complete):
            self.transport.abort()  # pipelined after a request that is still being responded to
            return
        self.connections.discard(self)
        self._cancel()
        target = f"{self.scope['method']} ".encode() + self.url + b" HTTP/1.1\r\n"
        head = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers)
        protocol = _H11Protocol(self.config, self.server_state, self.app_state)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(target + head + b"\r\n" + self.data[stopped.args[0] :])
