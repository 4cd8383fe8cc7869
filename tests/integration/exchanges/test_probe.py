"""Probing which exchanges can be reached."""

import time

import pytest

from coinwatch.exchanges.probe import probe_exchanges
from coinwatch.settings import Settings, load_settings
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import EXCHANGES
from tests.support.ports import free_port


def configured(exchange_server: ExchangeServer, **changes: dict[str, object]) -> Settings:
    return load_settings(
        exchanges={code: {"base_url": exchange_server.base_url(code)} | changes.get(code, {}) for code in EXCHANGES}
    )


def test_every_configured_exchange_gets_a_result(exchange_server: ExchangeServer) -> None:
    exchange_server.fail("kraken", "status", status=451)
    exchange_server.fail("coinbase", "status", status=429, headers={"Retry-After": "60"})
    exchange_server.market.delist("coingecko", "BTC", "USD")
    closed_port = free_port()

    results = probe_exchanges(configured(exchange_server, binance={"base_url": f"http://127.0.0.1:{closed_port}"}))

    assert {result.code: result.reachable for result in results} == {
        "coinnews": True,
        "coingecko": True,
        "binance": False,
        "coinbase": True,
        "kraken": False,
        "bitstamp": True,
    }
    messages = {result.code: result.message for result in results}
    assert "not available in this country" in messages["kraken"]
    assert f"127.0.0.1:{closed_port} cannot be reached" in messages["binance"]
    assert "rate limited until" in messages["coinbase"]
    assert "without BTC/USD (unknown symbol)" in messages["coingecko"]
    assert all(message.endswith(".") for message in messages.values())


def test_exchange_that_hangs_does_not_delay_the_probe(
    exchange_server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coinwatch.exchanges.probe.CALL_SECONDS", 60.0)
    exchange_server.fail("binance", "timeout")
    started = time.monotonic()

    results = {
        result.code: result
        for result in probe_exchanges(configured(exchange_server, binance={"timeout_seconds": 60}), seconds=5)
    }

    assert time.monotonic() - started < 30
    assert not results["binance"].reachable
    assert "no response within 5 s" in results["binance"].message
    assert results["kraken"].reachable


def test_invalid_setting_is_reported_as_a_result(exchange_server: ExchangeServer) -> None:
    results = {
        each.code: each for each in probe_exchanges(configured(exchange_server, bitstamp={"ccxt_id": "nosuchexchange"}))
    }

    assert not results["bitstamp"].reachable
    assert "exchanges.bitstamp.ccxt_id" in results["bitstamp"].message
    assert "nosuchexchange" not in results["bitstamp"].message


def test_probe_waits_up_to_three_seconds_for_a_response(exchange_server: ExchangeServer) -> None:
    exchange_server.fail("binance", "drip")
    started = time.monotonic()

    results = {result.code: result for result in probe_exchanges(configured(exchange_server))}

    assert time.monotonic() - started < 30
    assert "within 3 s" in results["binance"].message
