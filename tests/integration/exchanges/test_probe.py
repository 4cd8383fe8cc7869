"""The probe at first start: who answers from here, and why the others do not."""

import time

import pytest

from coinwatch.exchanges.probe import probe_exchanges
from coinwatch.settings import Settings, load_settings
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import VENUES
from tests.support.ports import free_port


def configured(exchange_server: ExchangeServer, **changes: dict[str, object]) -> Settings:
    return load_settings(
        exchanges={venue: {"base_url": exchange_server.base_url(venue)} | changes.get(venue, {}) for venue in VENUES}
    )


def test_every_configured_exchange_is_asked_and_told_about(exchange_server: ExchangeServer) -> None:
    exchange_server.fail("kraken", "status", status=451)
    exchange_server.fail("coinbase", "status", status=429, headers={"Retry-After": "60"})
    exchange_server.market.delist("coingecko", "BTC", "USD")
    nobody = free_port()

    results = probe_exchanges(configured(exchange_server, binance={"base_url": f"http://127.0.0.1:{nobody}"}))

    assert {result.code: result.reachable for result in results} == {
        "coinnews": True,
        "coingecko": True,
        "binance": False,
        "coinbase": True,
        "kraken": False,
        "bitstamp": True,
    }
    sentences = {result.code: result.message for result in results}
    assert "does not serve this country" in sentences["kraken"]
    assert f"127.0.0.1:{nobody} cannot be reached" in sentences["binance"]
    assert "asks for a pause" in sentences["coinbase"]
    assert "without BTC/USD (unknown symbol)" in sentences["coingecko"]
    assert all(sentence.endswith(".") for sentence in sentences.values())


def test_an_exchange_that_hangs_does_not_hold_up_the_probe(
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
    assert "no answer within 5 s" in results["binance"].message
    assert results["kraken"].reachable


def test_a_wrong_setting_is_told_instead_of_raised(exchange_server: ExchangeServer) -> None:
    results = {
        each.code: each for each in probe_exchanges(configured(exchange_server, bitstamp={"ccxt_id": "nosuchvenue"}))
    }

    assert not results["bitstamp"].reachable
    assert "nosuchvenue" in results["bitstamp"].message


@pytest.mark.parametrize("venue", ["binance"])
def test_a_probe_waits_three_seconds_for_an_answer_at_most(venue: str, exchange_server: ExchangeServer) -> None:
    exchange_server.fail(venue, "drip")
    started = time.monotonic()

    results = {result.code: result for result in probe_exchanges(configured(exchange_server))}

    assert time.monotonic() - started < 30
    assert "no complete answer within 3 s" in results[venue].message
