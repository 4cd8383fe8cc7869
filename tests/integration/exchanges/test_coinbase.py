"""What is particular to Coinbase."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from coinwatch.errors import ExchangeDenied, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.models import Exchange, Instrument
from tests.exchange_server import ExchangeServer

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]


def test_few_products_are_asked_for_one_by_one_and_many_by_the_statistics(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("coinbase", 31)
    adapter = open_adapter("coinbase")
    instruments = [instrument_of(adapter, pair.split("/")[0]) for pair in pairs]

    few = adapter.fetch_quotes(instruments[:3])
    asked = {request.path for request in exchange_server.requests("coinbase")}
    many = adapter.fetch_quotes(instruments)

    assert asked == {"/products/BTC-USD/ticker", "/products/ETH-USD/ticker", "/products/SOL-USD/ticker"}
    assert len(exchange_server.requests("coinbase")) == 4
    assert [quote.price for quote in few.quotes] == [quote.price for quote in many.quotes[:3]]


def test_tickers_take_over_when_the_statistics_are_gone(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("coinbase", 31)
    exchange_server.fail("coinbase", "status", status=404, body={"message": "NotFound"}, path="/products/stats")
    adapter = open_adapter("coinbase")

    batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

    assert len(batch.quotes) == 31


def test_one_failing_product_costs_only_itself_and_is_told(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("coinbase", "status", status=500, path="/products/ETH-USD/")
    adapter = open_adapter("coinbase")

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "SOL")])

    assert [quote.instrument.base for quote in batch.quotes] == ["BTC", "SOL"]
    assert isinstance(batch.error, ExchangeUnavailable)


def test_a_wish_for_a_pause_stops_the_remaining_calls(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("coinbase", 30)
    exchange_server.fail("coinbase", "status", status=429, headers={"Retry-After": "5"}, after=2)
    adapter = open_adapter("coinbase")

    batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

    assert isinstance(batch.error, RateLimited)
    assert len(exchange_server.requests("coinbase")) < 10


def test_a_wrong_address_is_not_taken_for_unknown_products(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("coinbase", "status", status=404, body="<html>no such page</html>")
    adapter = open_adapter("coinbase")

    with pytest.raises(ExchangeDenied, match="base_url"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])
