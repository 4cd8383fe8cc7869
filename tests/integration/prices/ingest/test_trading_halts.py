"""Instruments that an exchange does not trade: their last price is not recorded as the current one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.errors import ExchangeUnavailable
from coinwatch.exchanges.models import RejectionReason
from coinwatch.pipeline import collect_prices
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.ingest.collection import CollectResult, collect_exchange
from coinwatch.prices.ingest.data_quality import check_stale_prices
from coinwatch.prices.ingest.trading_halts import MIN_INTERVAL
from coinwatch.settings import Settings
from coinwatch.status import TradingHalt, pipeline_status
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTE_CURRENCIES
from tests.support.settings import EXCHANGES, exchange, make_settings

CODES = ("kraken", "coinbase", "binance", "bitstamp")
STATUS_PATHS = {"coinbase": "/products", "binance": "/api/v3/exchangeInfo"}
HALTED = {"coinbase": "offline", "binance": "BREAK", "kraken": "cancel_only"}
# Each exchange's own terms, and ours.
TERMS = [
    ("kraken", "cancel_only", "halted"),
    ("kraken", "maintenance", "halted"),
    ("kraken", "post_only", "auction"),
    ("coinbase", "offline", "halted"),
    ("coinbase", "trading_disabled", "halted"),
    ("coinbase", "cancel_only", "halted"),
    ("coinbase", "auction_mode", "auction"),
    ("coinbase", "post_only", "auction"),
    ("coinbase", "delisted", "delisted"),
    ("binance", "BREAK", "halted"),
    ("binance", "HALT", "halted"),
    ("binance", "AUCTION_MATCH", "auction"),
    ("bitstamp", "Disabled", "halted"),
]


@pytest.fixture
def settings(exchange_server: ExchangeServer) -> Settings:
    known = {**EXCHANGES, "bitstamp": exchange("Bitstamp", adapter="ccxt", ccxt_id="bitstamp")}
    exchanges = {
        code: {**known[code], "base_url": exchange_server.base_url(code), "timeout_seconds": 5} for code in CODES
    }
    return make_settings(exchanges=exchanges)


def later(seconds: float) -> Callable[[], datetime]:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return lambda: moment


def collect(engine: sa.Engine, settings: Settings, code: str, **more: Any) -> CollectResult:
    return collect_exchange(engine, settings, code, sleep=lambda seconds: None, **more)


def halts(engine: sa.Engine) -> list[TradingHalt]:
    return pipeline_status(engine, datetime.now(UTC)).trading_halts


@pytest.mark.parametrize(("code", "term", "status"), TERMS)
def test_pair_that_is_not_trading_is_rejected_and_shown_in_common_terms(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, code: str, term: str, status: str
) -> None:
    exchange_server.market.set_trading_term(code, "ETH", QUOTE_CURRENCIES[code], term)

    result = collect(catalog, settings, code)

    assert result.quotes == result.loaded.inserted == 1
    assert result.loaded.rejected == {RejectionReason.NOT_TRADING: 1}
    assert not read_latest_prices(catalog, datetime.now(UTC), "ETH", code)
    assert [(halt.exchange, halt.base, halt.status, halt.term) for halt in halts(catalog)] == [
        (code, "ETH", status, term)
    ]


@pytest.mark.parametrize(
    ("code", "term"), [("kraken", "limit_only"), ("kraken", "reduce_only"), ("coinbase", "limit_only")]
)
def test_pair_with_limited_trading_is_recorded(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, code: str, term: str
) -> None:
    exchange_server.market.set_trading_term(code, "ETH", "USD", term)

    assert collect(catalog, settings, code).loaded.inserted == 2
    assert not halts(catalog)


@pytest.mark.parametrize("code", HALTED)
def test_halt_keeps_its_start_and_ends_when_trading_resumes(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, code: str
) -> None:
    market = exchange_server.market
    market.set_trading_term(code, "ETH", QUOTE_CURRENCIES[code], HALTED[code])
    collect(catalog, settings, code)
    (first,) = halts(catalog)
    collect(catalog, settings, code, clock=later(60))
    assert halts(catalog) == [first]
    market.set_trading_term(code, "ETH", QUOTE_CURRENCIES[code], None)

    result = collect(catalog, settings, code, clock=later(120))

    assert result.quotes == 2
    assert not halts(catalog)


def test_exchange_on_which_nothing_is_traded_has_not_failed(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    for base in ("BTC", "ETH"):
        exchange_server.market.set_trading_term("kraken", base, "USD", "cancel_only")

    result = collect(catalog, settings, "kraken")

    assert result.quotes == 0
    assert len(halts(catalog)) == 2
    health = next(row for row in pipeline_status(catalog, datetime.now(UTC)).exchanges if row.code == "kraken")
    assert (health.failures, health.last_error) == (0, None)


@pytest.mark.parametrize("code", STATUS_PATHS)
def test_status_is_requested_at_most_twice_a_minute(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, code: str
) -> None:
    def status_requests() -> int:
        return sum(request.path == STATUS_PATHS[code] for request in exchange_server.requests(code))

    exchange_server.market.set_trading_term(code, "ETH", QUOTE_CURRENCIES[code], HALTED[code])
    for seconds in (0, 3, 6):
        result = collect(catalog, settings, code, clock=later(seconds))
        assert result.loaded.rejected == {RejectionReason.NOT_TRADING: 1}
    assert status_requests() == 1
    collect(catalog, settings, code, clock=later(MIN_INTERVAL.total_seconds() + 1))
    assert status_requests() == 2


@pytest.mark.parametrize("code", STATUS_PATHS)
def test_last_known_halts_apply_while_the_status_is_unavailable(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer, code: str
) -> None:
    exchange_server.market.set_trading_term(code, "ETH", QUOTE_CURRENCIES[code], HALTED[code])
    collect(catalog, settings, code)
    exchange_server.fail(code, "status", status=500, path=STATUS_PATHS[code], times=1)

    result = collect(catalog, settings, code, clock=later(120))

    assert (result.quotes, result.loaded.rejected) == (1, {RejectionReason.NOT_TRADING: 1})


def test_unknown_pair_does_not_hide_the_status_of_others(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    exchange_server.market.delist("binance", "BTC", "USDT")
    exchange_server.market.set_trading_term("binance", "ETH", "USDT", "HALT")

    with pytest.raises(ExchangeUnavailable, match="not_trading, unknown_symbol"):
        collect(catalog, settings, "binance")


def test_index_without_a_halted_exchange_is_that_of_the_others(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    market = exchange_server.market
    market.set_price("kraken", "ETH", "USD", 31.20)
    market.set_trading_term("kraken", "ETH", "USD", "cancel_only")
    market.set_price("coinbase", "ETH", "USD", 520.0)
    market.set_trading_term("bitstamp", "ETH", "USD", "Disabled")

    collect_prices(catalog, settings, datetime.now(UTC))

    prices = {
        price.exchange: price.price
        for price in read_latest_prices(catalog, datetime.now(UTC), "ETH")
        if price.quote == "USD"
    }
    assert prices == {"index": 520.0, "coinbase": 520.0}


def test_halted_pair_is_not_reported_as_stale(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    exchange_server.market.set_trading_term("kraken", "ETH", "USD", "cancel_only")
    collect(catalog, settings, "kraken")

    assert not check_stale_prices(catalog, settings, datetime.now(UTC) + timedelta(seconds=1))
