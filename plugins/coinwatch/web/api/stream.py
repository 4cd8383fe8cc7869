"""The stream of prices and alerts as server-sent events."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from coinwatch.errors import InvalidRequest
from coinwatch.formatting import did_you_mean
from coinwatch.web.dependencies import ClientDep, Site, SiteDep
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.stream.events import ALERTS, EVENTS, PRICES, Selection
from coinwatch.web.stream.hub import Client

CHOICES = f" Choose from {', '.join(EVENTS)}."
MEDIA_TYPE = "text/event-stream"
EXAMPLE = """\
retry: 3000

event: prices
data: {"prices":[{"coin":"BTC","exchange":"index","quote":"USD","price":95591.67,\
"changes_percent":{"1h":0.4,"24h":-1.2,"7d":3.1},"volume_24h":31200000000.0,"observed_at":"2026-11-20T12:00:18Z"}],\
"rates":{"ETH":3312.5,"EUR":1.0821}}
id: 1795176020512345-0

event: alerts
data: {"alerts":[{"coin":"BTC","quote":"USD","kind":"change_over_window","metric":"price","direction":"up",\
"window_seconds":3600,"change_percent":5.2,"value":95591.67,"observed_at":"2026-11-20T12:00:18Z",\
"fired_at":"2026-11-20T12:00:20Z"}]}
id: 1795176020512345-1795176020000000

: heartbeat
"""

router = APIRouter(prefix="/api/v1", tags=["prices"], responses=COMMON_RESPONSES)


class EventStream(StreamingResponse):
    """The events for a client, which has joined the hub and leaves it when its connection ends."""

    media_type = MEDIA_TYPE

    def __init__(self, site: Site, client: Client, address: str) -> None:
        super().__init__(site.hub.stream(client), headers={"X-Accel-Buffering": "no"})  # nginx would buffer it
        self.site, self.client, self.address = site, client, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.site.hub.leave(self.client)
            self.site.connections.close(self.address)


@router.get(
    "/stream",
    summary="Prices and alerts as server-sent events",
    status_code=200,
    response_class=EventStream,
    responses={200: {"content": {MEDIA_TYPE: {"example": EXAMPLE}}}, **NOT_FOUND},
)
async def stream_events(
    site: SiteDep,
    address: ClientDep,
    events: Annotated[
        str, Query(max_length=100, description=f"Which events, separated by commas: {', '.join(EVENTS)}.")
    ] = f"{PRICES},{ALERTS}",
    coins: Annotated[
        str | None, Query(max_length=2000, description="Codes or names, separated by commas. Default: all coins.")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="The id of the last event received, to continue after it.")
    ] = None,
) -> EventStream:
    """Sends all prices, then each change within seconds.

    `prices` has one price per coin, of its index or else of an exchange, with the fields of the overview; `rates` are
    values in US dollars. `alerts` has alerts that fired on an index: what happened, not whose alerts they are.
    `exchanges` has all exchanges without current prices. `reset` means that the events since Last-Event-ID are not
    known; all prices follow. A comment is sent every 15 seconds. Streams end after about an hour, and when the server
    stops: connect again with the last id.
    """
    selected = frozenset(_split(events))
    for name in selected.difference(EVENTS):
        hint = did_you_mean(name, {each: each for each in EVENTS})
        raise InvalidRequest("events", f"{name} is not an event.{hint or CHOICES}")
    settings = await run_in_threadpool(lambda: site.settings)
    site.connections.open(
        address, limit=settings.stream_connections, limit_per_network=settings.stream_connections_per_address
    )
    client = Client(last_event_id)
    try:
        await site.hub.join(client)
        client.selection = Selection(selected, site.hub.find_coins(_split(coins or "")))
    except BaseException:
        site.hub.leave(client)
        site.connections.close(address)
        raise
    return EventStream(site, client, address)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
