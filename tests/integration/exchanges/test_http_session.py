"""The HTTP session's limit on the size of a response."""

import pytest

from coinwatch.exchanges.http_session import BodyTooLarge, GuardedSession
from tests.exchange_server import ExchangeServer


def test_oversized_response_is_not_read_completely(exchange_server: ExchangeServer) -> None:
    exchange_server.fail("binance", "endless")

    with pytest.raises(BodyTooLarge):
        GuardedSession(seconds=30, body_limit=1_000_000).get(exchange_server.base_url("binance"))
