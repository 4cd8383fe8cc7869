"""The hub: reads new data while anyone listens, and passes it on to all clients.

What clients still have to receive is in one list of recent updates, shared by all, so memory doesn't grow with slow
clients. One that falls behind further than the list receives the state again.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from starlette.concurrency import run_in_threadpool

from coinwatch.codes import code_key
from coinwatch.errors import CoinwatchError, NotFound
from coinwatch.formatting import did_you_mean
from coinwatch.web.overview.positions import EPOCH, Position
from coinwatch.web.stream.events import ALERTS, HEARTBEAT, RETRY_MILLISECONDS, Payload, Selection, Update, encode_event
from coinwatch.web.stream.reading import Reader, State

log = structlog.get_logger()

POLL_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0
# A client that continues from further back starts again: its page also shows charts and lists that are out of date.
MAX_RESUME = timedelta(hours=1)
# Transactions that were committed after a later one: their prices are sent again rather than missed.
OVERLAP = timedelta(minutes=1)
MAX_UPDATES = 32
# Streams end after about this long: access is checked again, and clients spread over restarted servers.
MAX_STREAM_SECONDS = 3600.0
# How often it is noticed per poll that the server is shutting down.
CHECKS = 5
# Clients that are served before other requests get a turn.
BATCH = 25


class Client:
    """A connected client, which continues after ``position``. ``wake`` is set when there is something to send."""

    def __init__(self, position: str | None) -> None:
        self.position = position
        self.selection = Selection(frozenset())
        self.wake = asyncio.Event()


class Numbered(NamedTuple):
    number: int
    update: Update


class Hub:
    """All streams of a process. Its methods are called in the event loop.

    ``open_reader`` is called for each poll, so that an invalid setting is an error of that poll only; ``stopping``
    returns whether the server is shutting down.
    """

    def __init__(
        self,
        open_reader: Callable[[], Reader],
        clock: Callable[[], datetime],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._open_reader = open_reader
        self._clock = clock
        self._stopping = stopping
        self._clients: set[Client] = set()
        self._state: State | None = None
        self._read_at = 0.0
        self._updates: deque[Numbered] = deque(maxlen=MAX_UPDATES)
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._starting: asyncio.Lock | None = None

    async def join(self, client: Client) -> None:
        """Add a client; the first one waits for the state. Raises DatabaseError and ConfigurationError."""
        self._starting = self._starting or asyncio.Lock()
        async with self._starting:
            if self._task is None or self._task.done():
                self._state = await self._read()
                self._updates.clear()
                self._task = asyncio.create_task(self._run())
            self._clients.add(client)

    def find_coins(self, texts: Collection[str]) -> frozenset[str]:
        """The codes of coins given by code or name, ignoring case. Raises NotFound, which suggests similar ones."""
        markets = self._state.markets if self._state else ()
        known = {spelling: market.base for market in markets for spelling in (market.coin_name, market.base)}
        by_key = {code_key(spelling): code for spelling, code in known.items()}
        for text in texts:
            if code_key(text) not in by_key:
                raise NotFound(f"{text} is not a tracked coin.{did_you_mean(text, known)}")
        return frozenset(by_key[code_key(text)] for text in texts)

    def leave(self, client: Client) -> None:
        """Remove a client."""
        self._clients.discard(client)

    def close(self) -> None:
        """End all streams: the server is shutting down."""
        for client in self._clients:
            client.wake.set()
        self._clients.clear()

    async def stream(self, client: Client) -> AsyncIterator[bytes]:
        """What a client receives, until its stream ends: its connection is then closed, and it connects again."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + MAX_STREAM_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311
        number, chunk = self._number, await self._first_chunk(client)
        while client in self._clients and loop.time() < ends_at:
            yield chunk
            await client.wake.wait()
            client.wake.clear()
            chunk, number = self._missed(client, number), self._number
            chunk = chunk or HEARTBEAT

    async def _first_chunk(self, client: Client) -> bytes:
        retry = f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        if self._state is None:
            return retry
        state, selection = self._state, client.selection
        position = None if client.position is None else Position.parse(client.position)
        alerts: list[Payload] | None = []
        if position is not None and ALERTS in selection.events and EPOCH < position.alerts < state.position.alerts:
            found = await run_in_threadpool(self._read_alerts, position.alerts, state.position.alerts)
            alerts = found
        now = self._clock()
        known = position is not None and now - MAX_RESUME <= position.prices <= now + OVERLAP and alerts is not None
        if client.position is not None and not known:
            reset = encode_event(
                "reset", {"reason": "Too much has changed since the last event. Read everything again."}
            )
            return retry + reset + self._everything(state).encode(selection)
        update = self._everything(state)
        if position is not None:
            since = position.prices - OVERLAP
            update.prices = [price for coin, price in state.prices.items() if state.received_at[coin] > since]
            update.alerts = alerts or []
        return retry + update.encode(selection)

    def _read_alerts(self, after: datetime, until: datetime) -> list[Payload] | None:
        alerts = self._open_reader().read_alerts(after, until)
        return None if alerts is None else [alert.payload() for alert in alerts]

    @staticmethod
    def _everything(state: State) -> Update:
        return Update(state.position, list(state.prices.values()), state.rates, (), state.exchanges)

    def _missed(self, client: Client, number: int) -> bytes:
        """The updates after a number; everything, if the first of them is no longer known."""
        if self._updates and self._updates[0].number > number + 1 and self._state is not None:
            return self._everything(self._state).encode(client.selection)
        return b"".join(each.update.encode(client.selection) for each in self._updates if each.number > number)

    async def _run(self) -> None:
        """Read and publish while there are clients; when that fails, they connect again and get an error response."""
        try:
            await self._publish()
        except CoinwatchError as error:
            log.warning("streams ended", clients=len(self._clients), error_type=type(error).__name__, error=str(error))
        except Exception:
            log.exception("streams ended", clients=len(self._clients))
        finally:
            self.close()

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        heartbeat_at = loop.time() + HEARTBEAT_SECONDS
        while self._clients:
            if await self._stops_within(POLL_SECONDS):
                return
            update = await self._next_update()
            if update is not None:
                self._number += 1
                self._updates.append(Numbered(self._number, update))
                await self._wake(update)
            if loop.time() + POLL_SECONDS > heartbeat_at:
                heartbeat_at = loop.time() + HEARTBEAT_SECONDS
                await self._wake()

    async def _stops_within(self, seconds: float) -> bool:
        """Wait, and return True early if the server is shutting down."""
        for _ in range(CHECKS):
            await asyncio.sleep(seconds / CHECKS)
            if self._stopping():
                return True
        return False

    async def _wake(self, update: Update | None = None) -> None:
        """Wake the clients that have selected something of an update; all of them, for a heartbeat."""
        for position, client in enumerate(list(self._clients)):
            if update is None or update.encode(client.selection):
                client.wake.set()
            if position % BATCH == BATCH - 1:
                await asyncio.sleep(0)

    async def _next_update(self) -> Update | None:
        before = self._state
        state = await self._read()
        self._state = state
        if before is None:
            return self._everything(state)
        prices = [payload for coin, payload in state.prices.items() if payload != before.prices.get(coin)]
        exchanges = state.exchanges if state.exchanges != before.exchanges else None
        alerts: list[Payload] = []
        if state.position.alerts > before.position.alerts:
            found = await run_in_threadpool(self._read_alerts, before.position.alerts, state.position.alerts)
            alerts = found or []
        if not prices and exchanges is None and not alerts:
            return None
        return Update(state.position, prices, state.rates, alerts, exchanges)

    async def _read(self) -> State:
        return await run_in_threadpool(lambda: self._open_reader().read(self._clock(), self._state))
