"""The guarded HTTP session on its own."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from coinwatch.exchanges.http_session import BodyTooLarge, GuardedSession
from coinwatch.exchanges.models import Exchange, Instrument
from tests.exchange_server import ExchangeServer

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]


def test_a_body_past_the_limit_is_not_read_on(exchange_server: ExchangeServer) -> None:
    exchange_server.fail("binance", "endless")

    with pytest.raises(BodyTooLarge):
        GuardedSession(seconds=30, body_limit=1_000_000).get(exchange_server.base_url("binance"))
