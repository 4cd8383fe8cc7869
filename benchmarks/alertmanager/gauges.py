"""1,000 prices exposed to Prometheus over HTTP, and 10,000 levels, of which one per instrument is near its price."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.shared.market import INSTRUMENTS

RISE = 1.05
NEAR, FAR = 1.02, 2.0


def price_at(instrument: int, *, risen: bool = False) -> float:
    """The price of an instrument from 1 to 1,000."""
    return (100.0 + instrument) * (RISE if risen else 1)


def level_of(rule: int) -> tuple[int, float]:
    """Instrument and level of a rule from 1 to 10,000: only the first thousand are reached by a rise."""
    instrument = 1 + (rule - 1) % INSTRUMENTS
    return instrument, price_at(instrument) * (NEAR if rule <= INSTRUMENTS else FAR + rule / 10_000)


@dataclass
class Gauges:
    """The content of /metrics."""

    port: int = 0
    body: bytes = field(default=b"")

    def show(self, risen: range) -> None:
        lines = [
            f'price{{instrument="C{number}"}} {price_at(number, risen=number in risen)}\n'
            for number in range(1, INSTRUMENTS + 1)
        ]
        self.body = ("# TYPE price gauge\n" + "".join(lines)).encode()


@contextmanager
def shown_gauges() -> Iterator[Gauges]:
    gauges = Gauges()
    gauges.show(range(0))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(gauges.body)))
            self.end_headers()
            self.wfile.write(gauges.body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        gauges.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield gauges
        finally:
            server.shutdown()
