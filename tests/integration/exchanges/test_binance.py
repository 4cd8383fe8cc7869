"""Behavior specific to Binance."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.errors import ExchangeDenied, RateLimited
from coinwatch.exchanges.binance import Binance
from coinwatch.exchanges.http_client import Response
from coinwatch.exchanges.models import RejectionReason
from coinwatch.time_range import TimeRange
from tests.exchange_server import ExchangeServer
from tests.support.adapters import NOW, InstrumentOf, OpenAdapter, RecordingRateLimiter


def test_twenty_symbols_take_one_call(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("binance", 45)
    adapter = open_adapter("binance")

    batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

    assert len(batch.quotes) == 45
    assert [request.path for request in exchange_server.requests("binance")] == ["/api/v3/ticker/24hr"] * 3
    assert exchange_server.market.binance_used_weight == 6


def test_whole_market_is_fetched_when_cheaper(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate("binance", 850)
    adapter = open_adapter("binance")
    instruments = [instrument_of(adapter, pair.split("/")[0]) for pair in pairs]

    batch = adapter.fetch_quotes([*instruments, instrument_of(adapter, "NOSUCHCOIN")])

    assert len(batch.quotes) == 850
    assert [each.reason for each in batch.rejected] == [RejectionReason.UNKNOWN_SYMBOL]
    assert exchange_server.market.binance_used_weight == 80


def test_fetching_stops_before_exceeding_the_request_weight(
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


def test_mirror_with_shorter_pages_loses_no_candles(
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetch = Binance._fetch_klines

    def shorter(self: Binance, params: Mapping[str, str | int]) -> Response:
        response = fetch(self, params)
        assert isinstance(response.data, list)
        return replace(response, data=response.data[:500])

    monkeypatch.setattr(Binance, "_fetch_klines", shorter)
    adapter = open_adapter("binance")
    end = NOW.replace(second=0)

    found = adapter.fetch_candles(instrument_of(adapter, "BTC"), 60, TimeRange(end - timedelta(minutes=1200), end))

    assert len(found) == 1200


def test_backfill_leaves_half_of_the_request_weight_to_live_collection(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.binance_used_weight = 2999
    adapter = open_adapter("binance")
    rate_limiter = RecordingRateLimiter()

    adapter.fetch_candles(
        instrument_of(adapter, "BTC"), 60, TimeRange(NOW - timedelta(minutes=1500), NOW), rate_limiter
    )

    assert rate_limiter.calls == [None, datetime(2026, 11, 20, 12, 1, tzinfo=UTC)]
    assert len(adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes) == 1


def test_quotes_fetched_before_a_ban_are_kept(
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


def test_errors_contain_the_message_from_binance(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(
        "binance", "status", status=400, body={"code": -1104, "msg": "Not all sent parameters were read"}
    )
    adapter = open_adapter("binance")

    with pytest.raises(ExchangeDenied, match="Not all sent parameters were read"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])


def test_default_host_needs_no_api_key() -> None:
    assert Binance.base_url == "https://data-api.binance.vision"
