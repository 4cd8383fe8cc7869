"""Time limits for receiving a request and for sending a response, which uvicorn does not have."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 30.0
UNREAD_SECONDS = 60.0


class DeadlineProtocol(H11Protocol):  # with httptools, requests that propose an upgrade (h2c) lose their body
    """Closes a connection whose request, headers and body, has not arrived REQUEST_SECONDS after its first byte.

    The first request of a connection has as long from when the connection is opened. A client that does not read a
    response is disconnected after UNREAD_SECONDS. Otherwise, clients that send or read a byte now and then could hold
    any number of connections open.
    """

    deadline: asyncio.TimerHandle | None = None
    unread: asyncio.TimerHandle | None = None
    previous: object = None  # the request before the one that is being received

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        if self.deadline is None:
            self._start()
        super().data_received(data)
        current = self.cycle
        if current is not self.previous and (current.response_complete or not current.more_body):
            self._cancel()

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
        self.previous = self.cycle
        self.deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.close)

    def _cancel(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        self.deadline = None
