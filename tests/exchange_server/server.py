"""One HTTP server with a base URL per exchange, such as ``http://127.0.0.1:PORT/binance``.

Control API for tests in other processes:

    POST /_control/price     {"exchange", "base", "quote", "price", "at"?, "volume"?, "bid"?, "ask"?}
    POST /_control/generate  {"exchange", "count"} -> the names of the pairs
    POST /_control/fault     {"exchange", "kind", ...}: the fields of Fault
    POST /_control/clear     {"exchange"?}: removes the faults
    POST /_control/reset     restores prices, faults and the request count
    GET  /_control/requests  {"binance": 12, ...}
    GET  /_control/health
"""

import json
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.exchange_server.exchanges import Reply, respond
from tests.exchange_server.faults import Fault, Faults, misbehave
from tests.exchange_server.market import QUOTE_CURRENCIES, Market


@dataclass(frozen=True)
class Request:
    """A request as received; header names are in lower case."""

    exchange: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class ExchangeServer:
    """The server, running in its own thread; a context manager."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.market = Market()
        self.faults = Faults()
        self.stopped = threading.Event()
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._http = _Server((host, port), _Handler)
        self._http.exchange_server = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return self._http.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def base_url(self, exchange: str) -> str:
        """The value for the exchange's ``base_url`` setting."""
        return f"{self.url}/{exchange}"

    def fail(self, exchange: str, kind: str, **details: object) -> None:
        """Make ``exchange`` fail; see :class:`Fault`."""
        self.faults.add(exchange, Fault(kind, **details))  # type: ignore[arg-type]

    def requests(self, exchange: str | None = None) -> list[Request]:
        """The requests so far, oldest first."""
        with self._lock:
            return [request for request in self._requests if exchange in (None, request.exchange)]

    def reset(self) -> None:
        self.market.reset()
        self.faults.clear()
        with self._lock:
            self._requests.clear()

    def record_request(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def start(self) -> "ExchangeServer":
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> "ExchangeServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    exchange_server: ExchangeServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that close the connection during a fault are expected."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # send headers and body in one packet
    server: _Server

    def do_GET(self) -> None:
        exchange_server = self.server.exchange_server
        parts = urlsplit(self.path)
        _, exchange, *rest = parts.path.split("/", 2)
        path = f"/{unquote(rest[0])}" if rest else "/"
        if exchange == "_control":
            self._reply(_control_get(exchange_server, path))
            return
        if exchange not in QUOTE_CURRENCIES:
            self._reply(Reply({"error": f"unknown exchange {exchange!r}"}, 404))
            return
        query = dict(parse_qsl(parts.query))
        exchange_server.record_request(
            Request(exchange, path, query, {name.lower(): value for name, value in self.headers.items()})
        )
        fault = exchange_server.faults.take(exchange, path)
        reply = respond(exchange, exchange_server.market, path, query)
        if fault is None:
            self._reply(reply)
        else:
            misbehave(fault, self, exchange_server.stopped, _encoded(reply))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._reply(_control_post(self.server.exchange_server, self.path, json.loads(body or b"{}")))
        except (ValueError, TypeError, KeyError) as error:
            self._reply(Reply({"error": f"{type(error).__name__}: {error}"}, 400))

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date of a response, by the exchange's clock."""
        return super().date_time_string(self.server.exchange_server.market.clock().timestamp())  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Log nothing; requests are recorded instead."""

    def _reply(self, reply: Reply) -> None:
        body = _encoded(reply)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _control_get(exchange_server: ExchangeServer, path: str) -> Reply:
    if path == "/requests":
        return Reply(dict(Counter(request.exchange for request in exchange_server.requests())))
    return Reply({"status": "ok"}) if path == "/health" else Reply({"error": "unknown control"}, 404)


def _control_post(exchange_server: ExchangeServer, path: str, fields: dict[str, object]) -> Reply:
    exchange = fields.pop("exchange", None)
    if path in {"/_control/price", "/_control/generate", "/_control/fault"} and exchange not in QUOTE_CURRENCIES:
        raise ValueError(f"unknown exchange {exchange!r}; known: {', '.join(QUOTE_CURRENCIES)}")
    match path:
        case "/_control/price":
            exchange_server.market.set_price(str(exchange), **fields)  # type: ignore[arg-type]
        case "/_control/generate":
            return Reply(exchange_server.market.generate(str(exchange), int(str(fields["count"]))))
        case "/_control/fault":
            exchange_server.fail(str(exchange), **fields)  # type: ignore[arg-type]
        case "/_control/clear":
            exchange_server.faults.clear(None if exchange is None else str(exchange))
        case "/_control/reset":
            exchange_server.reset()
        case _:
            return Reply({"error": f"unknown control {path}"}, 404)
    return Reply({"done": True})


def _encoded(reply: Reply) -> bytes:
    return reply.payload if isinstance(reply.payload, bytes) else json.dumps(reply.payload).encode()
