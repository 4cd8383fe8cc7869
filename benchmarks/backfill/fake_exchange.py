"""A fast fake exchange in its own process: Binance's klines of 20 pairs.

``python -m benchmarks.backfill.fake_exchange --limit 25`` prints its port when it is ready. Calls above ``--limit`` per
second, after a burst of 10, get a 429 with Retry-After. Rows are prepared before the first call, so that a response
costs little more than sending it.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from benchmarks.shared.market import START, ticks_at

PAIRS = 20
DAYS = 30
MINUTES = DAYS * 1440
CANDLES_PER_CALL = 1000
BURST = 10
FIRST = round(START.timestamp() * 1000)


def symbols() -> list[str]:
    return [f"C{number}USDT" for number in range(1, PAIRS + 1)]


@contextmanager
def running_exchange(limit: float | None) -> Iterator[str]:
    """Yields its base URL; ``limit`` is in calls per second, None for no limit."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.backfill.fake_exchange",
        *([] if limit is None else ["--limit", str(limit)]),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=None, help="calls per second")
    limit = parser.parse_args().limit
    server = _Server(("127.0.0.1", 0), _Handler)
    server.rows = {name: [_row(i, n) for n in range(MINUTES)] for i, name in enumerate(symbols(), 1)}
    server.bucket = None if limit is None else _Bucket(limit)
    print(server.server_address[1], flush=True)
    server.serve_forever()


class _Bucket:
    """A token bucket: ``limit`` calls per second, up to BURST at once."""

    def __init__(self, limit: float) -> None:
        self.limit, self.left, self.at = limit, float(BURST), time.monotonic()
        self.lock = threading.Lock()

    def take(self) -> bool:
        with self.lock:
            now = time.monotonic()
            self.left = min(float(BURST), self.left + (now - self.at) * self.limit)
            self.at = now
            if self.left < 1:
                return False
            self.left -= 1
            return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    rows: dict[str, list[bytes]]
    bucket: _Bucket | None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        if self.server.bucket is not None and not self.server.bucket.take():
            self._reply(429, b'{"code":-1003,"msg":"Too many requests."}', ("Retry-After", "1"))
            return
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        # A 1-day candle is its first minute: enough to find out since when there are candles.
        width = {"1m": 1, "1h": 60, "1d": 1440}[query["interval"]]
        length = width * 60_000
        first = max(0, -(-(int(query["startTime"]) - FIRST) // length))
        last = (int(query["endTime"]) - FIRST) // length + 1 if "endTime" in query else MINUTES // width
        last = min(last, first + int(query.get("limit", 500)), first + CANDLES_PER_CALL)
        rows = self.server.rows[query["symbol"]][::width][first:last]
        self._reply(200, b"[" + b",".join(rows) + b"]")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Log nothing."""

    def _reply(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _row(i: int, n: int) -> bytes:
    opening, close, scale = ticks_at(i, n), ticks_at(i, n + 1), 10.0 ** (i % 5)
    prices = [opening, max(opening, close) + 3, min(opening, close) - 2, close]
    opened_at = FIRST + n * 60_000
    shown = ",".join(f'"{price / scale:.8f}"' for price in prices)
    volume = (n * 7919 + i) % 10_000 / 100
    end = f'{opened_at + 59_999},"{volume * 100:.8f}",{n % 500},"{volume / 2:.8f}","{volume * 50:.8f}","0"'
    return f'[{opened_at},{shown},"{volume:.8f}",{end}]'.encode()


if __name__ == "__main__":
    main()
