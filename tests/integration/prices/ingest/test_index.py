"""The index is a median that one bad tick does not move."""

import sqlalchemy as sa

from coinwatch.prices.catalog import set_exchange_enabled
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.ingest.index import compute_index
from coinwatch.settings import Settings
from tests.support.quotes import at, load, quote


def index(engine: sa.Engine, coin: str = "BTC") -> dict[str, float]:
    return {price.quote: price.price for price in read_latest_prices(engine, at(60), coin, "index")}


def test_index_is_the_median_per_dollar_like_currency(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100.0, 0), quote(102.0, 0, "coinbase"), quote(99.0, 0, "binance", "BTC/USDT"))
    assert compute_index(catalog, settings, at(1)) == 2
    assert index(catalog) == {"USD": 101.0, "USDT": 99.0}


def test_simulated_prices_count_only_without_a_real_price(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(5.0, 0, "coinnews"), quote(7.0, 0, "coinnews", "ETH/USD"), quote(100.0, 0))
    compute_index(catalog, settings, at(1))
    assert index(catalog, "BTC") == {"USD": 100.0}
    assert index(catalog, "ETH") == {"USD": 7.0}


def test_stale_prices_and_disabled_exchanges_are_excluded(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(50.0, 0), quote(100.0, 9, "coinbase"), quote(900.0, 9, "coinnews"))
    compute_index(catalog, settings, at(10.5))
    assert index(catalog) == {"USD": 100.0}
    set_exchange_enabled(catalog, "coinbase", False)
    load(catalog, quote(51.0, 11))
    compute_index(catalog, settings, at(11))
    assert index(catalog) == {"USD": 51.0}


def test_computing_the_index_again_changes_nothing(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100.0, 0))
    assert compute_index(catalog, settings, at(1)) == 1
    assert compute_index(catalog, settings, at(2)) == 0
