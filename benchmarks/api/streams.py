"""Clients of the stream, all in one process: ``python -m benchmarks.api.streams URL COUNT``.

Prints a line when all of them have received the first event, and another with how many events they received when its
standard input is closed.
"""

import asyncio
import sys
from urllib.parse import urlsplit

EVENT = b"event: prices\n"
AT_ONCE = 50


class Client(asyncio.Protocol):
    """Counts the events it receives."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.events = 0
        self.connected = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.events += data.count(EVENT)
        if self.events and not self.connected.done():
            self.connected.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.connected.done():
            self.connected.set_exception(exc or ConnectionError("the server closed a stream before its first event"))


async def listen(url: str, count: int) -> None:
    """Open the streams, and read them until standard input is closed."""
    address, loop = urlsplit(url), asyncio.get_running_loop()
    request = f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    clients = [Client(request) for _ in range(count)]
    for first in range(0, count, AT_ONCE):
        group = clients[first : first + AT_ONCE]
        for client in group:
            await loop.create_connection(lambda client=client: client, address.hostname, address.port)  # type: ignore[misc]
        await asyncio.wait_for(asyncio.gather(*(client.connected for client in group)), 60)
    print("connected", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(sum(client.events for client in clients), flush=True)


if __name__ == "__main__":
    asyncio.run(listen(sys.argv[1], int(sys.argv[2])))
