"""What is particular to exchanges that ccxt speaks to."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from coinwatch.errors import ConfigurationError
from coinwatch.exchanges.ccxt_adapter import CcxtAdapter
from coinwatch.exchanges.models import Exchange, Instrument, RejectionReason
from tests.exchange_server import ExchangeServer

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]


def test_an_id_that_ccxt_does_not_know_is_a_wrong_setting(open_adapter: OpenAdapter) -> None:
    with pytest.raises(ConfigurationError, match=r"exchanges\.bitstamp\.ccxt_id.*'nosuchvenue'"):
        open_adapter("bitstamp", ccxt_id="nosuchvenue")


def test_tickers_come_in_one_call_after_the_list_of_markets(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("bitstamp")

    adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "XRP")])

    assert [request.path for request in exchange_server.requests("bitstamp")] == ["/api/v2/markets/", "/api/v2/ticker/"]


def test_a_quote_without_a_time_is_as_old_as_its_answer(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("bitstamp", "json", body=[{"pair": "BTC/USD", "last": "5.0"}], path="/ticker")
    adapter = open_adapter("bitstamp")

    (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes

    assert quote.observed_at == quote.received_at == NOW


def test_an_exchange_without_a_call_for_all_tickers_is_asked_one_by_one(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("bitstamp")
    assert isinstance(adapter, CcxtAdapter)
    adapter._venue.has["fetchTickers"] = False

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "NONE")])

    assert [quote.price for quote in batch.quotes] == [96_000.0, 3_350.0]
    assert [each.reason for each in batch.rejected] == [RejectionReason.UNKNOWN_SYMBOL]
