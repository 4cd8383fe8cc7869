"""Behavior specific to CoinGecko."""

import pytest

from coinwatch.exchanges.models import RejectionReason
from tests.exchange_server import ExchangeServer
from tests.support.adapters import NOW, InstrumentOf, OpenAdapter


def test_one_call_fetches_all_coins_with_timestamps(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("coingecko")

    adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "DOGE")])

    (request,) = exchange_server.requests("coingecko")
    assert request.query["ids"] == "bitcoin,ethereum,dogecoin"
    assert request.query["include_last_updated_at"] == "true"


def test_volume_is_converted_to_the_base_currency(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    body = {"bitcoin": {"usd": 50_000, "usd_24h_vol": 1_000_000.0, "last_updated_at": int(NOW.timestamp())}}
    exchange_server.fail("coingecko", "json", body=body)
    adapter = open_adapter("coingecko")

    (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes

    assert quote.volume_24h == pytest.approx(20.0)


def test_api_key_is_sent_in_the_demo_header(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("coingecko", api_key="CG-key")

    adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert exchange_server.requests("coingecko")[0].headers["x-cg-demo-api-key"] == "CG-key"


def test_minimum_interval_is_five_minutes_unless_configured(open_adapter: OpenAdapter) -> None:
    assert open_adapter("coingecko").minimum_interval_seconds == 300
    assert open_adapter("coingecko", minimum_interval_seconds=60).minimum_interval_seconds == 60
    assert open_adapter("binance").minimum_interval_seconds == 0


def test_price_without_timestamp_is_rejected(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("coingecko", "json", body={"bitcoin": {"usd": 50_000}})
    adapter = open_adapter("coingecko")

    (rejected,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).rejected

    assert rejected.reason is RejectionReason.MALFORMED
