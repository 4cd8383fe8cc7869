"""The stream of server-sent events, from a real server."""

import http.client
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from coinwatch.alerts.rules import Rule
from coinwatch.database import create_engine
from coinwatch.settings import Settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import identify_by_token
from coinwatch.web.stream import hub
from tests.support.ports import free_port
from tests.support.subscriptions import subscribe
from tests.web.browsing import serving
from tests.web.seed import seed_market, web_settings

UPDATE_LATEST = sa.text("""
  UPDATE latest_quotes SET price = :price, observed_at = :now, received_at = :now
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
  WHERE i.id = latest_quotes.instrument_id AND e.code = :exchange AND i.base = :base AND i.quote = 'USD'
""")
INSERT_ALERT = sa.text("""
  INSERT INTO alerts (subscription_id, observed_at, price, reference, change_percent, created_at)
  VALUES (:subscription_id, :now, 44000, 43000, 2.3, :now)
""")


@dataclass(frozen=True)
class Event:
    """An event, with its data parsed; a comment has the type ``comment``."""

    type: str
    data: Any
    id: str | None


class Listener:
    """A client of the stream."""

    def __init__(self, site: str, path: str = "/api/v1/stream", last: str | None = None, timeout: float = 30) -> None:
        address = urlsplit(site)
        assert address.hostname is not None
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()

    def events(self) -> Iterator[Event]:
        """All events until the stream ends."""
        fields: dict[str, str] = {}
        while line := self.response.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "":
                if value:
                    yield Event("comment", value, None)
                elif "data" in fields:
                    yield Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))
                    fields = {}
            elif line.startswith(b": "):
                yield Event("comment", value, None)
            else:
                fields[name] = value

    def next(self, type_: str) -> Event:
        """The next event of a type."""
        return next(event for event in self.events() if event.type == type_)

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@pytest.fixture(autouse=True)
def _poll_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "POLL_SECONDS", 0.1)


@pytest.fixture
def connect() -> Iterator[Callable[..., Listener]]:
    """Connects to a site; closes all connections after the test."""
    with ExitStack() as opened:

        def start(*args: Any, **options: Any) -> Listener:
            listener = Listener(*args, **options)
            opened.callback(listener.close)
            return listener

        yield start


@pytest.fixture
def listen(site: str, connect: Callable[..., Listener]) -> Callable[..., Listener]:
    return partial(connect, site)


def change_price(engine: sa.Engine, price: float, base: str = "BTC", exchange: str = "index") -> None:
    with engine.begin() as connection:
        connection.execute(
            UPDATE_LATEST, {"price": price, "base": base, "exchange": exchange, "now": datetime.now(UTC)}
        )


def prices_of(event: Event) -> dict[str, float]:
    return {price["coin"]: price["price"] for price in event.data["prices"]}


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def fire(engine: sa.Engine, emails: tuple[str, ...], exchange: str | None = None) -> None:
    """The same alert of several subscribers."""
    now = datetime.now(UTC)
    for email in emails:
        rule = Rule(threshold=2)
        created = subscribe(engine, email=email, coin="BTC", rule=rule, now=now, confirmed=True, exchange=exchange)
        with engine.begin() as connection:
            connection.execute(INSERT_ALERT, {"subscription_id": created.id, "now": now})


def test_stream_begins_with_all_prices_and_continues_with_changes(
    listen: Callable[..., Listener], engine: sa.Engine
) -> None:
    listener = listen()
    response = listener.response
    assert response.status == 200
    assert response.getheader("content-type", "").startswith("text/event-stream")
    assert response.getheader("x-accel-buffering") == "no"
    assert response.getheader("content-encoding") is None
    first = listener.next("prices")
    assert set(prices_of(first)) == {"BTC", "ETH", "SOL", "XRP", "DOGE"}
    [bitcoin] = [price for price in first.data["prices"] if price["coin"] == "BTC"]
    assert set(bitcoin["changes_percent"]) == {"1h", "24h", "7d"}
    assert (bitcoin["exchange"], bitcoin["quote"]) == ("index", "USD")
    change_price(engine, 50_000.5)
    changed = listener.next("prices")
    assert prices_of(changed) == {"BTC": 50_000.5}, "only what changed"
    assert changed.data["rates"]["BTC"] == 50_000.5


def test_only_selected_coins_and_events_are_sent(listen: Callable[..., Listener], engine: sa.Engine) -> None:
    listener = listen("/api/v1/stream?coins=ethereum,xrp&events=prices")
    assert set(prices_of(listener.next("prices"))) == {"ETH", "XRP"}
    change_price(engine, 50_000.5, "BTC")
    time.sleep(0.5)
    change_price(engine, 3000.5, "ETH")
    assert prices_of(listener.next("prices")) == {"ETH": 3000.5}


def test_client_continues_after_its_last_event(listen: Callable[..., Listener], engine: sa.Engine) -> None:
    received = (
        "UPDATE latest_quotes SET received_at = :then FROM instruments i WHERE i.id = instrument_id AND i.base {}"
    )
    with engine.begin() as connection:
        now = datetime.now(UTC)
        connection.execute(sa.text(received.format("<> 'DOGE'")), {"then": now - timedelta(minutes=10)})
        connection.execute(sa.text(received.format("= 'DOGE'")), {"then": now - timedelta(minutes=5)})
    first = listen()
    last = first.next("prices").id
    first.close()
    change_price(engine, 50_000.5)
    prices: dict[str, float] = {}
    for event in listen(last=last).events():
        assert event.type == "prices"
        prices |= prices_of(event)
        if "BTC" in prices:
            break
    assert set(prices) <= {"BTC", "DOGE"}, "what was received in the minute before the last event is repeated"
    assert prices["BTC"] == 50_000.5


@pytest.mark.parametrize("last", ["nonsense", "1-1", "9999999999999999-0"], ids=["unknown", "too old", "in the future"])
def test_client_that_cannot_continue_is_told_to_start_again(listen: Callable[..., Listener], last: str) -> None:
    events = listen(last=last).events()
    assert next(events).type == "reset"
    assert len(prices_of(next(events))) == 5


def test_alerts_on_the_index_are_sent_once_and_without_subscribers(
    listen: Callable[..., Listener], engine: sa.Engine
) -> None:
    listener = listen("/api/v1/stream?events=alerts")
    time.sleep(0.3)
    fire(engine, ("ada@example.org",), exchange="kraken")
    fire(engine, ("ada@example.org", "bob@example.org"))
    fired = []
    for event in listener.events():
        if event.type == "alerts":
            fired += event.data["alerts"]
            break
    assert [(alert["coin"], alert["kind"], alert["direction"], alert["change_percent"]) for alert in fired] == [
        ("BTC", "change_since_last", "up", 2.3)
    ]
    assert "example.org" not in json.dumps(fired)
    assert not [name for name in fired[0] if re.search(r"(^|_)id($|_)|user|threshold", name)]


def test_missed_alerts_are_sent_when_a_client_continues(listen: Callable[..., Listener], engine: sa.Engine) -> None:
    fire(engine, ("ada@example.org",))
    first = listen()
    last = first.next("prices").id
    first.close()
    time.sleep(0.01)
    fire(engine, ("bob@example.org",))
    events = listen(last=last).events()
    alerts = next(event for event in events if event.type == "alerts")
    assert len(alerts.data["alerts"]) == 1
    assert alerts.id != last


def test_exchange_that_stops_and_recovers_is_announced(listen: Callable[..., Listener], engine: sa.Engine) -> None:
    listener = listen("/api/v1/stream?events=exchanges")
    assert [each["exchange"] for each in listener.next("exchanges").data["exchanges"]] == ["kraken"]
    change_price(engine, 43_000.0, exchange="kraken")
    assert listener.next("exchanges").data["exchanges"] == []


def test_a_comment_is_sent_while_nothing_happens(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HEARTBEAT_SECONDS", 0.5)
    events = listen().events()
    found = [next(events).type for _ in range(4)]
    assert found[0] == "prices"
    assert found[1:] == ["comment"] * 3


def test_nothing_is_read_while_nobody_listens(listen: Callable[..., Listener], engine: sa.Engine, app: FastAPI) -> None:
    statements: list[str] = []
    listener = listen()
    listener.next("prices")
    listener.close()
    streams = app.state.site.hub
    wait_until(lambda: not streams._clients)
    time.sleep(0.5)
    sa.event.listen(engine, "begin", lambda connection: statements.append("begin"))
    time.sleep(0.5)
    assert statements == []
    assert set(prices_of(listen().next("prices"))) >= {"BTC"}, "and starts again"


def test_many_clients_cost_as_many_reads_as_one(listen: Callable[..., Listener], engine: sa.Engine) -> None:
    listeners = [listen() for _ in range(40)]
    for listener in listeners:
        listener.next("prices")
    transactions: list[float] = []
    sa.event.listen(engine, "begin", lambda connection: transactions.append(time.monotonic()))
    change_price(engine, 50_000.5)
    assert all(prices_of(listener.next("prices")) == {"BTC": 50_000.5} for listener in listeners)
    assert len(transactions) < 40


def test_slow_client_neither_delays_others_nor_takes_memory(
    listen: Callable[..., Listener], site: str, engine: sa.Engine, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "POLL_SECONDS", 0.01)
    address = urlsplit(site)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((address.hostname, address.port))
        slow.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")  # and reads nothing
        listener = listen("/api/v1/stream?coins=BTC")
        listener.next("prices")
        for number in range(100):
            change_price(engine, 50_000.0 + number)
            assert prices_of(listener.next("prices"))["BTC"] == 50_000.0 + number
        assert len(app.state.site.hub._updates) <= hub.MAX_UPDATES


def test_client_that_fell_behind_gets_the_newest_prices(
    listen: Callable[..., Listener], engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MAX_UPDATES", 1)
    listener = listen("/api/v1/stream?coins=BTC")
    listener.next("prices")
    for number in range(20):
        change_price(engine, 50_000.0 + number)
        time.sleep(0.05)
    change_price(engine, 60_000.0)
    assert any(prices_of(event)["BTC"] == 60_000.0 for event in listener.events() if event.type == "prices")


@contextmanager
def limited_site(engine: sa.Engine, **limits: int) -> Iterator[str]:
    settings = web_settings(**limits)
    seed_market(engine, settings, datetime.now(UTC))
    app = create_app(
        lambda: engine, lambda: settings, identify=identify_by_token(lambda: settings), inside_airflow=False
    )
    with serving(app, free_port()) as site:
        yield site


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"stream_connections_per_address": 2}, "too_many_requests"), ({"stream_connections": 2}, "busy")],
)
def test_open_streams_are_limited(
    connect: Callable[..., Listener], engine: sa.Engine, limits: dict[str, int], code: str
) -> None:
    with limited_site(engine, **limits) as site:
        first, second = connect(site), connect(site)
        rejected = connect(site)
        assert rejected.response.status == 429
        assert int(rejected.response.getheader("retry-after", "0")) > 0
        assert json.load(rejected.response)["code"] == code
        first.close()
        wait_until(lambda: connect(site).response.status == 200)
        second.close()


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("events=price", 422, "Did you mean prices?"),
        ("coins=BTC,bitcon", 404, "Did you mean BTC?"),
        ("coin=BTC", 422, "coin is not a known field"),
    ],
)
def test_invalid_selection_is_rejected(
    listen: Callable[..., Listener], app: FastAPI, query: str, status: int, message: str
) -> None:
    response = listen(f"/api/v1/stream?{query}").response
    assert response.status == status
    assert message in json.load(response)["detail"]
    assert app.state.site.connections._open.total() == 0


def test_database_that_fails_ends_the_streams_and_is_reported_to_new_clients(
    connect: Callable[..., Listener], engine: sa.Engine, settings: Settings
) -> None:
    seed_market(engine, settings, datetime.now(UTC))
    broken = False
    unavailable = create_engine("postgresql://nobody@127.0.0.1:1/none")
    app = create_app(
        lambda: unavailable if broken else engine,
        lambda: settings,
        identify=identify_by_token(lambda: settings),
        inside_airflow=False,
    )
    with serving(app, free_port()) as site:
        listener = connect(site)
        listener.next("prices")
        broken = True
        assert [event for event in listener.events() if event.type != "comment"] == [], "the stream ends"
        refused = connect(site)
        assert refused.response.status == 503
        assert json.load(refused.response)["code"] == "unavailable"
        broken = False
        assert len(prices_of(connect(site).next("prices"))) == 5


def test_streams_end_quickly_when_the_server_stops(
    connect: Callable[..., Listener], engine: sa.Engine, app: FastAPI, settings: Settings
) -> None:
    seed_market(engine, settings, datetime.now(UTC))
    with serving(app, free_port(), timeout_graceful_shutdown=20) as site:
        listeners = [connect(site) for _ in range(5)]
        for listener in listeners:
            listener.next("prices")
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 5
    assert all(not list(listener.events()) for listener in listeners)


def test_head_request_does_not_keep_a_stream_open(site: str, app: FastAPI) -> None:
    address = urlsplit(site)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.request("HEAD", "/api/v1/stream")
    response = connection.getresponse()
    assert response.status == 200
    assert response.read() == b""
    wait_until(lambda: app.state.site.connections._open.total() == 0)
    connection.close()
