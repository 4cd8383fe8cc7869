"""When an exchange fails, what was fetched is kept and the error is reported."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import ConfigurationError, ExchangeDenied, ExchangeUnavailable, InvalidRequest, RateLimited
from coinwatch.prices.backfill.run import Progress
from coinwatch.prices.backfill.runner import backfill_range, exchanges_with_candles
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import Settings
from tests.exchange_server import ExchangeServer
from tests.support.backfill import DAY, HOUR, NOW, Backfill, FakeTime, candles
from tests.support.settings import exchange, make_settings


def test_unknown_symbol_is_reported_without_affecting_others(
    exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    for code, quote_currency in (("binance", "USDT"), ("coinbase", "USD"), ("kraken", "USD")):
        exchange_server.market.delist(code, "BTC", quote_currency)
        result = backfill(code, NOW - HOUR, NOW)
        assert list(result.failed) == [f"BTC/{quote_currency}"]
        assert "unknown symbol" in result.failed[f"BTC/{quote_currency}"]
        assert result.stored.inserted > 50


def test_unavailable_exchange_is_retried_once(exchange_server: ExchangeServer, backfill: Backfill) -> None:
    exchange_server.fail("binance", "cut_off", times=1)
    assert backfill("binance", DAY, DAY + HOUR).failed == {}
    exchange_server.fail("binance", "status", status=500)
    with pytest.raises(ExchangeUnavailable, match="returned HTTP 500"):
        backfill("binance", DAY, DAY + 2 * HOUR)


def test_unavailable_instrument_is_reported_without_affecting_others(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    exchange_server.fail("coinbase", "html", path="/products/ETH-USD")
    result = backfill("coinbase", DAY, DAY + 2 * HOUR)
    assert list(result.failed) == ["ETH/USD"]
    assert result.stored.inserted == len(candles(catalog, "1m", "coinbase")) > 90
    with pytest.raises(ExchangeUnavailable, match="ETH/USD: /products/ETH-USD/candles returned invalid JSON"):
        result.raise_for_failed("coinbase")


def test_failing_exchange_is_skipped_after_a_few_instruments(
    exchange_server: ExchangeServer, engine: sa.Engine, time: FakeTime
) -> None:
    pairs = exchange_server.market.generate("binance", 30)
    coins = {pair.split("/")[0]: {"name": pair} for pair in pairs}
    settings = make_settings(
        coins=coins, exchanges={"binance": exchange("Binance", *pairs, base_url=exchange_server.base_url("binance"))}
    )
    sync_catalog(engine, settings)
    exchange_server.fail("binance", "status", status=451)
    with pytest.raises(ExchangeDenied, match="not available in this country"):
        backfill_range(engine, settings, "binance", DAY, DAY + HOUR, clock=time.clock, sleep=time.sleep)
    assert len(exchange_server.requests("binance")) < 10


def test_short_rate_limit_is_waited_for_and_recorded_for_all_workers(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill, time: FakeTime
) -> None:
    exchange_server.fail("kraken", "status", status=429, headers={"Retry-After": "90"}, times=1)
    result = backfill("kraken", NOW - HOUR, NOW)
    assert (result.failed, result.stored.inserted) == ({}, 120)
    assert time.now - NOW >= timedelta(seconds=90)
    with transaction(catalog) as connection:
        status = connection.execute(sa.text("SELECT blocked_until, failures FROM exchange_status")).one()
    assert NOW + timedelta(seconds=90) <= status.blocked_until < NOW + timedelta(seconds=95)
    assert status.failures == 0, "it is not a failure of live collection"


def test_long_rate_limit_ends_the_backfill_and_keeps_what_was_fetched(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    exchange_server.fail("binance", "status", status=418, headers={"Retry-After": "3600"}, after=2)
    with pytest.raises(RateLimited, match="rate limited until 2026-03-02 19:00:30 UTC"):
        backfill("binance", DAY, DAY + timedelta(days=1))
    stored = len(candles(catalog, "1m", "binance")) + len(candles(catalog, "1m", "binance", "ETH"))
    requests = len(exchange_server.requests("binance"))
    assert stored >= 1440
    with pytest.raises(RateLimited):
        backfill("binance", DAY, DAY + timedelta(days=1))
    assert len(exchange_server.requests("binance")) == requests, "no calls are made while rate limited"


def test_repeated_rate_limits_end_the_backfill(exchange_server: ExchangeServer, backfill: Backfill) -> None:
    exchange_server.fail("kraken", "status", status=429, headers={"Retry-After": "5"})
    with pytest.raises(RateLimited):
        backfill("kraken", NOW - HOUR, NOW)
    assert len(exchange_server.requests("kraken")) < 20


def test_interrupted_backfill_continues_where_it_stopped(exchange_server: ExchangeServer, backfill: Backfill) -> None:
    updates: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        updates.append(progress)
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill("coinbase", DAY, DAY + timedelta(days=1), progress=interrupt)
    requests = len(exchange_server.requests("coinbase"))
    assert requests < 10
    assert [progress.total for progress in updates] == [10, 10, 10]
    result = backfill("coinbase", DAY, DAY + timedelta(days=1))
    assert result.requests == len(exchange_server.requests("coinbase")) - requests
    assert 1 <= result.requests <= 7
    assert backfill("coinbase", DAY, DAY + timedelta(days=1)).requests == 0


def test_exchanges_with_candles_are_known_without_a_request(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    assert exchanges_with_candles(catalog, settings) == ["binance", "coinbase", "coinnews", "kraken"]
    assert not exchange_server.requests()
    with pytest.raises(ExchangeDenied, match="does not offer candles"):
        backfill("coingecko", DAY, NOW)


def test_invalid_request_is_reported(engine: sa.Engine, settings: Settings, backfill: Backfill) -> None:
    with pytest.raises(InvalidRequest, match="before the end"):
        backfill("kraken", NOW, NOW)
    with pytest.raises(InvalidRequest, match="time zone"):
        backfill("kraken", NOW.replace(tzinfo=None), NOW)
    assert backfill("kraken", DAY, NOW, instruments=[4711]).failed == {"instrument 4711": "not watched on kraken"}
    with pytest.raises(ConfigurationError, match="coinwatch migrate"):
        backfill("bitmex", DAY, NOW)
