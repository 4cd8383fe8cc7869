"""Collecting prices from a local exchange server: failures of one exchange do not affect others."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.errors import ConfigurationError, ExchangeDenied, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.binance import Binance
from coinwatch.exchanges.models import QuoteBatch
from coinwatch.pipeline import collect_prices
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.ingest.collection import CollectResult, collect_exchange
from coinwatch.settings import Settings
from coinwatch.status import failing_exchanges, pipeline_status
from tests.exchange_server import ExchangeServer
from tests.support.settings import EXCHANGES, exchange, make_settings

EXCHANGE_CODES = ("coinnews", "coingecko", "coinbase", "kraken", "binance")


@pytest.fixture
def settings(exchange_server: ExchangeServer) -> Settings:
    known = {**EXCHANGES, "coingecko": exchange("CoinGecko", minimum_interval_seconds=0)}
    exchanges = {
        code: {**known[code], "base_url": exchange_server.base_url(code), "timeout_seconds": 2}
        for code in EXCHANGE_CODES
    }
    return make_settings(exchanges=exchanges)


def collect(engine: sa.Engine, settings: Settings, code: str, **more: Any) -> CollectResult:
    return collect_exchange(engine, settings, code, sleep=lambda seconds: None, **more)


def later(**delta: float) -> Callable[[], datetime]:
    moment = datetime.now(UTC) + timedelta(**delta)
    return lambda: moment


def health(engine: sa.Engine, code: str) -> Any:
    return next(row for row in pipeline_status(engine, datetime.now(UTC)).exchanges if row.code == code)


@pytest.mark.parametrize("code", EXCHANGE_CODES)
def test_prices_of_an_exchange_are_stored(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, code: str
) -> None:
    pair = ("BTC", "USDT" if code == "binance" else "USD")
    exchange_server.market.set_price(code, *pair, 68_923.67)
    result = collect(catalog, settings, code)
    assert (result.quotes, result.loaded.inserted) == (2, 2)
    [price] = read_latest_prices(catalog, datetime.now(UTC), "BTC", code)
    assert price.price == 68_923.67
    assert health(catalog, code).last_success_at is not None


def test_failing_exchanges_do_not_stop_a_cycle(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("kraken", "html")
    exchange_server.fail("coinbase", "status", status=451)
    result = collect_prices(catalog, settings, datetime.now(UTC))
    assert {item.exchange for item in result.collected} == {"coinnews", "coingecko", "binance"}
    assert set(result.failed) == {"kraken", "coinbase"}
    assert result.index_prices == 4
    failing = failing_exchanges(catalog)
    assert [line.split(" ", 1)[0] for line in failing] == ["coinbase", "kraken"]


def test_temporary_error_is_retried_immediately(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("coinnews", "cut_off", times=1)
    assert collect(catalog, settings, "coinnews").loaded.inserted == 2
    assert health(catalog, "coinnews").failures == 0


def test_rate_limit_applies_to_all_workers(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("binance", "status", status=429, headers={"Retry-After": "120"}, times=1)
    with pytest.raises(RateLimited) as caught:
        collect(catalog, settings, "binance")
    assert 100 < (caught.value.blocked_until - datetime.now(UTC)).total_seconds() <= 121
    calls = len(exchange_server.requests("binance"))
    with pytest.raises(RateLimited, match="rate limited until"):
        collect(catalog, settings, "binance")
    assert len(exchange_server.requests("binance")) == calls, "no request while rate limited"
    assert collect(catalog, settings, "binance", clock=later(seconds=125)).quotes == 2
    assert health(catalog, "binance").blocked_until is None


def test_backfill_calls_wait_only_during_a_live_fetch(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live_until() -> list[datetime | None]:
        with catalog.connect() as connection:
            return list(connection.execute(sa.text("SELECT live_until FROM exchange_status")).scalars())

    seen = []
    fetch = Binance.fetch_quotes

    def fetch_and_record(self: Binance, instruments: Any) -> QuoteBatch:
        seen.extend(live_until())
        return fetch(self, instruments)

    monkeypatch.setattr(Binance, "fetch_quotes", fetch_and_record)
    exchange_server.fail("binance", "status", status=451, after=1, path="/ticker/24hr")
    collect(catalog, settings, "binance")
    assert live_until() == [None]
    with pytest.raises(ExchangeDenied):
        collect(catalog, settings, "binance")
    assert live_until() == [None], "also after a failure"
    assert [until > datetime.now(UTC) - timedelta(minutes=1) for until in seen if until] == [True, True]


def test_successful_fetch_keeps_a_rate_limit_set_by_a_backfill_call(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked_until = datetime.now(UTC) + timedelta(minutes=5)
    fetch = Binance.fetch_quotes

    def fetch_while_blocked(self: Binance, instruments: Any) -> QuoteBatch:
        parameters = {"exchange": "binance", "until": blocked_until}
        with catalog.begin() as connection:
            connection.execute(
                sa.text(
                    "UPDATE exchange_status SET blocked_until = :until FROM exchanges"
                    " WHERE code = :exchange AND id = exchange_id"
                ),
                parameters,
            )
        return fetch(self, instruments)

    monkeypatch.setattr(Binance, "fetch_quotes", fetch_while_blocked)
    assert collect(catalog, settings, "binance").quotes == 2
    assert health(catalog, "binance").blocked_until == blocked_until


def test_consecutive_failures_are_counted_until_a_success(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("kraken", "status", status=500)
    for failures in (1, 2):
        with pytest.raises(ExchangeUnavailable):
            collect(catalog, settings, "kraken")
        assert health(catalog, "kraken").failures == failures
    exchange_server.faults.clear()
    collect(catalog, settings, "kraken")
    assert (health(catalog, "kraken").failures, health(catalog, "kraken").last_error) == (0, None)


def test_invalid_prices_are_rejected_and_counted(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    exchange_server.market.set_price("binance", "BTC", "USDT", "NaN")
    result = collect(catalog, settings, "binance")
    assert {reason.value: count for reason, count in result.loaded.rejected.items()} == {"not_finite": 1}
    assert result.loaded.inserted == 1


def test_response_without_valid_prices_is_a_failure(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    for coin in ("BTC", "ETH"):
        exchange_server.market.set_price("binance", coin, "USDT", "0")
    with pytest.raises(ExchangeUnavailable, match="none of the 2 prices"):
        collect(catalog, settings, "binance")


def test_slow_local_clock_is_reported(catalog: sa.Engine, settings: Settings) -> None:
    with pytest.raises(ExchangeUnavailable, match="from_the_future; check this machine's clock"):
        collect(catalog, settings, "binance", clock=later(minutes=-5))
    assert "clock" in health(catalog, "binance").last_error
    assert collect(catalog, settings, "binance").loaded.inserted == 2


def test_exchange_is_skipped_during_its_minimum_interval(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    limited = make_settings(
        exchanges={
            **settings.model_dump()["exchanges"],
            "coingecko": exchange(
                "CoinGecko", base_url=exchange_server.base_url("coingecko"), minimum_interval_seconds=300
            ),
        }
    )
    assert collect(catalog, limited, "coingecko").quotes == 2
    skipped = collect(catalog, limited, "coingecko")
    assert (skipped.quotes, skipped.blocked_until is not None) == (0, True)
    assert len(exchange_server.requests("coingecko")) == 1
    assert collect(catalog, limited, "coingecko", clock=later(seconds=295)).blocked_until is None


def test_denied_request_is_not_retried(catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer) -> None:
    exchange_server.fail("coinbase", "status", status=451)
    with pytest.raises(ExchangeDenied):
        collect(catalog, settings, "coinbase")
    assert len(exchange_server.requests("coinbase")) <= 2, "without retries"


def test_missing_exchange_says_which_command_to_run(engine: sa.Engine, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="coinwatch migrate"):
        collect(engine, settings, "kraken")


def test_result_round_trips_through_json(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    import json

    exchange_server.market.set_price("binance", "BTC", "USDT", "-1")
    result = collect(catalog, settings, "binance")
    assert CollectResult.from_dict(json.loads(json.dumps(result.as_dict()))) == result


@pytest.fixture
def catalog(engine: sa.Engine, settings: Settings) -> sa.Engine:
    sync_catalog(engine, settings)
    return engine
