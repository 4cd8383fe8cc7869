"""The far end of every exchange: one HTTP server that speaks their documented formats and misbehaves on request.

``with ExchangeServer() as server`` inside a test, ``python -m tests.exchange_server --port 0`` as a process.
"""

from tests.exchange_server.faults import Fault
from tests.exchange_server.market import Market
from tests.exchange_server.server import ExchangeServer

__all__ = ["ExchangeServer", "Fault", "Market"]
