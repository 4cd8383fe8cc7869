"""What is particular to Binance."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.errors import ExchangeDenied, RateLimited
from coinwatch.exchanges.binance import Binance
from coinwatch.exchanges.models import Exchange, Instrument, RejectionReason
from tests.exchange_server import ExchangeServer

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]


def test_twenty_symbols_go_in_a_call(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("binance", 45)
    adapter = open_adapter("binance")

    batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

    assert len(batch.quotes) == 45
    assert [request.path for request in exchange_server.requests("binance")] == ["/api/v3/ticker/24hr"] * 3
    assert exchange_server.market.binance_used_weight == 6


def test_the_whole_market_is_asked_for_where_that_weighs_less(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("binance", 850)
    adapter = open_adapter("binance")
    instruments = [instrument_of(adapter, pair.split("/")[0]) for pair in pairs]

    batch = adapter.fetch_quotes([*instruments, instrument_of(adapter, "NOSUCHCOIN")])

    assert len(batch.quotes) == 850
    assert [each.reason for each in batch.rejected] == [RejectionReason.UNKNOWN_SYMBOL]
    assert exchange_server.market.binance_used_weight == 80


def test_it_stops_before_the_weight_of_the_minute_is_spent_and_keeps_what_it_has(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("binance", 60)
    exchange_server.market.binance_used_weight = 5397
    adapter = open_adapter("binance")

    batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

    assert len(batch.quotes) == 40
    assert isinstance(batch.error, RateLimited)
    assert batch.error.blocked_until == datetime(2026, 11, 20, 12, 1, tzinfo=UTC)
    assert len(exchange_server.requests("binance")) == 2


def test_history_leaves_the_second_half_of_the_minutes_weight_to_live_collection(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.binance_used_weight = 2999
    adapter = open_adapter("binance")
    waits: list[datetime | None] = []
    adapter.before_history_call = waits.append

    adapter.fetch_candles(instrument_of(adapter, "BTC"), 60, NOW - timedelta(minutes=1500), NOW)

    assert waits == [None, datetime(2026, 11, 20, 12, 1, tzinfo=UTC)]
    assert len(adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes) == 1


def test_a_ban_half_way_keeps_the_quotes_that_came_before(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("binance", 60)
    exchange_server.fail("binance", "status", status=418, headers={"Retry-After": "300"}, after=1)
    adapter = open_adapter("binance")

    batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

    assert len(batch.quotes) == 20
    assert isinstance(batch.error, RateLimited)
    assert batch.error.blocked_until == NOW + timedelta(seconds=300)
    assert len(exchange_server.requests("binance")) == 2


def test_another_rejection_than_an_unknown_symbol_is_told_in_binances_words(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(
        "binance", "status", status=400, body={"code": -1104, "msg": "Not all sent parameters were read"}
    )
    adapter = open_adapter("binance")

    with pytest.raises(ExchangeDenied, match="Not all sent parameters were read"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])


def test_a_delisted_symbol_is_not_listed(open_adapter: OpenAdapter) -> None:
    assert "LUNAUSDT" not in {each.symbol for each in open_adapter("binance").list_instruments()}


def test_it_asks_the_host_that_needs_no_key_by_default() -> None:
    assert Binance.base_url == "https://data-api.binance.vision"
