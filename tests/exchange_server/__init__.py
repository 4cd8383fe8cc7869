"""A test server for all exchanges: it responds in their documented formats and fails on request.

``with ExchangeServer() as server`` inside a test, ``python -m tests.exchange_server --port 0`` as a process.
"""

from tests.exchange_server.faults import Fault
from tests.exchange_server.market import Market
from tests.exchange_server.server import ExchangeServer

__all__ = ["ExchangeServer", "Fault", "Market"]
