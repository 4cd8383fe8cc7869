"""``python -m tests.exchange_server --port 0``: prints its URL and serves until it is stopped."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from tests.exchange_server.market import EXCHANGES
from tests.exchange_server.recorded import read_candles
from tests.exchange_server.server import ExchangeServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--instruments", type=int, default=8, help="pairs listed on every exchange")
    parser.add_argument(
        "--candles", type=Path, help="CSV of 1-minute candles to return (timestamp,open,high,low,close,volume)"
    )
    parser.add_argument("--pair", default="BTC/USDT", help="the pair they belong to")
    parser.add_argument("--exchange", default="binance", choices=EXCHANGES, help="the exchange they belong to")
    arguments = parser.parse_args()
    server = ExchangeServer(arguments.port, arguments.host)
    for exchange in EXCHANGES:
        server.market.generate(exchange, arguments.instruments)
    if arguments.candles:
        base, _, quote = arguments.pair.partition("/")
        server.market.record(arguments.exchange, base, quote, read_candles(arguments.candles))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main()
