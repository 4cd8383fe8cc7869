"""Behavior specific to Coinbase."""

import pytest

from coinwatch.errors import ExchangeDenied, ExchangeUnavailable, RateLimited
from tests.exchange_server import ExchangeServer
from tests.support.adapters import InstrumentOf, OpenAdapter


def test_many_products_use_the_stats_endpoint_instead_of_tickers(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("coinbase", 31)
    adapter = open_adapter("coinbase")
    instruments = [instrument_of(adapter, pair.split("/")[0]) for pair in pairs]

    few = adapter.fetch_quotes(instruments[:3])
    paths = {request.path for request in exchange_server.requests("coinbase")}
    many = adapter.fetch_quotes(instruments)

    assert paths == {"/products/BTC-USD/ticker", "/products/ETH-USD/ticker", "/products/SOL-USD/ticker"}
    assert len(exchange_server.requests("coinbase")) == 4
    assert [quote.price for quote in few.quotes] == [quote.price for quote in many.quotes[:3]]


def test_tickers_are_used_if_the_stats_endpoint_is_gone(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("coinbase", 31)
    exchange_server.fail("coinbase", "status", status=404, body={"message": "NotFound"}, path="/products/stats")
    adapter = open_adapter("coinbase")

    batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

    assert len(batch.quotes) == 31


def test_failing_product_does_not_affect_others(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("coinbase", "status", status=500, path="/products/ETH-USD/")
    adapter = open_adapter("coinbase")

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "SOL")])

    assert [quote.instrument.base for quote in batch.quotes] == ["BTC", "SOL"]
    assert isinstance(batch.error, ExchangeUnavailable)


def test_rate_limit_cancels_the_remaining_calls(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("coinbase", 30)
    exchange_server.fail("coinbase", "status", status=429, headers={"Retry-After": "5"}, after=2)
    adapter = open_adapter("coinbase")

    batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

    assert isinstance(batch.error, RateLimited)
    assert len(exchange_server.requests("coinbase")) < 10


def test_celo_is_found_under_its_code_on_coinbase(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price("coinbase", "CELO", "USD", 0.31)
    adapter = open_adapter("coinbase")

    (quote,) = adapter.fetch_quotes([instrument_of(adapter, "CELO")]).quotes

    assert (quote.price, quote.instrument.symbol) == (0.31, "CGLD-USD")


def test_wrong_base_url_is_not_reported_as_unknown_products(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("coinbase", "status", status=404, body="<html>no such page</html>")
    adapter = open_adapter("coinbase")

    with pytest.raises(ExchangeDenied, match="base_url"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])
