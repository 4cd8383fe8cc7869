"""What is particular to CoinGecko."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from coinwatch.exchanges.models import Exchange, Instrument, RejectionReason
from tests.exchange_server import ExchangeServer

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]


def test_one_call_brings_everything_and_asks_for_times(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("coingecko")

    adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "DOGE")])

    (request,) = exchange_server.requests("coingecko")
    assert request.query["ids"] == "bitcoin,ethereum,dogecoin"
    assert request.query["include_last_updated_at"] == "true"


def test_its_volume_in_dollars_becomes_one_in_coins(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    body = {"bitcoin": {"usd": 50_000, "usd_24h_vol": 1_000_000.0, "last_updated_at": int(NOW.timestamp())}}
    exchange_server.fail("coingecko", "json", body=body)
    adapter = open_adapter("coingecko")

    (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes

    assert quote.volume_24h == pytest.approx(20.0)


def test_the_key_goes_in_the_demo_plans_header(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("coingecko", api_key="CG-key")

    adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert exchange_server.requests("coingecko")[0].headers["x-cg-demo-api-key"] == "CG-key"


def test_its_plan_allows_a_call_every_five_minutes_unless_configured(open_adapter: OpenAdapter) -> None:
    assert open_adapter("coingecko").minimum_interval_seconds == 300
    assert open_adapter("coingecko", minimum_interval_seconds=60).minimum_interval_seconds == 60
    assert open_adapter("binance").minimum_interval_seconds == 0


def test_a_price_without_its_time_is_refused(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("coingecko", "json", body={"bitcoin": {"usd": 50_000}})
    adapter = open_adapter("coingecko")

    (rejected,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).rejected

    assert rejected.reason is RejectionReason.MALFORMED
