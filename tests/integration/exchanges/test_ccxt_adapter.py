"""Behavior specific to exchanges accessed through ccxt."""

import pytest

from coinwatch.errors import ConfigurationError
from coinwatch.exchanges.ccxt_adapter import CcxtAdapter
from coinwatch.exchanges.models import RejectionReason
from tests.exchange_server import ExchangeServer
from tests.support.adapters import NOW, InstrumentOf, OpenAdapter


def test_unknown_ccxt_id_is_a_configuration_error(open_adapter: OpenAdapter) -> None:
    with pytest.raises(ConfigurationError, match=r"exchanges\.bitstamp\.ccxt_id") as caught:
        open_adapter("bitstamp", ccxt_id="nosuchexchange")
    assert "nosuchexchange" not in str(caught.value)


def test_tickers_take_one_call_after_loading_markets(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("bitstamp")

    adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "XRP")])

    assert [request.path for request in exchange_server.requests("bitstamp")] == ["/api/v2/markets/", "/api/v2/ticker/"]


def test_quote_without_timestamp_uses_the_receive_time(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("bitstamp", "json", body=[{"pair": "BTC/USD", "last": "5.0"}], path="/ticker")
    adapter = open_adapter("bitstamp")

    (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes

    assert quote.observed_at == quote.received_at == NOW


def test_exchange_without_fetch_tickers_is_called_once_per_instrument(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("bitstamp")
    assert isinstance(adapter, CcxtAdapter)
    adapter._ccxt.has["fetchTickers"] = False

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "NONE")])

    assert [quote.price for quote in batch.quotes] == [96_000.0, 3_350.0]
    assert [each.reason for each in batch.rejected] == [RejectionReason.UNKNOWN_SYMBOL]
