"""What counts in the index, and what is stored."""

from datetime import timedelta

import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.prices.catalog import set_exchange_enabled, sync_catalog
from coinwatch.prices.history.as_of import compare_exchange_prices
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.ingest.index import ExcludedPrice, compute_index, find_excluded_prices
from coinwatch.settings import Settings
from coinwatch.status import pipeline_status
from tests.support.quotes import at, load, quote
from tests.support.settings import exchange, make_settings

FRESHNESS = timedelta(minutes=10)


def with_aggregator(engine: sa.Engine) -> Settings:
    """Kraken and CoinGecko."""
    exchanges = {
        "kraken": exchange("Kraken", base_url="http://127.0.0.1:1"),
        "coingecko": exchange("CoinGecko", base_url="http://127.0.0.1:1"),
    }
    settings = make_settings(exchanges=exchanges)
    sync_catalog(engine, settings)
    return settings


def index(engine: sa.Engine, coin: str = "BTC") -> dict[str, float]:
    return {price.quote: price.price for price in read_latest_prices(engine, at(60), coin, "index")}


def test_index_is_the_median_per_dollar_like_currency(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100.0, 0), quote(102.0, 0, "coinbase"), quote(99.0, 0, "binance", "BTC/USDT"))
    assert compute_index(catalog, settings, at(1)) == 2
    assert index(catalog) == {"USD": 101.0, "USDT": 99.0}


def test_index_goes_stale_instead_of_using_simulated_prices(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(5.0, 0, "coinnews"), quote(7.0, 0, "coinnews", "ETH/USD"), quote(100.0, 0))
    compute_index(catalog, settings, at(1))
    assert (index(catalog, "BTC"), index(catalog, "ETH")) == ({"USD": 100.0}, {}), "Kraken is enabled for ETH, too"
    load(catalog, quote(6.0, 30, "coinnews"))
    assert compute_index(catalog, settings, at(30)) == 0
    assert index(catalog, "BTC") == {"USD": 100.0}


def test_index_uses_simulated_prices_if_no_real_exchange_is_enabled(catalog: sa.Engine, settings: Settings) -> None:
    for code in ("kraken", "coinbase", "binance"):
        set_exchange_enabled(catalog, code, False)
    load(catalog, quote(5.0, 0, "coinnews"))
    compute_index(catalog, settings, at(1))
    [price] = read_latest_prices(catalog, at(1), "BTC", "index")
    assert (price.price, price.simulated) == (5.0, True)


def test_aggregator_counts_only_without_an_exchange_and_never_in_the_volume(engine: sa.Engine) -> None:
    settings = with_aggregator(engine)
    load(engine, quote(100, 0, volume_24h=11_000.0), quote(104, 0, "coingecko", volume_24h=400_000.0))
    compute_index(engine, settings, at(1))
    load(engine, quote(106, 20, "coingecko", volume_24h=400_000.0))
    compute_index(engine, settings, at(20))
    with transaction(engine) as connection:
        rows = connection.execute(
            sa.text(
                "SELECT price, volume_24h FROM prices JOIN watched_instruments USING (instrument_id)"
                " WHERE exchange = 'index' ORDER BY observed_at"
            )
        ).all()
    assert [tuple(row) for row in rows] == [(100, 11_000), (106, None)]
    compared = compare_exchange_prices(engine, "BTC", moment=at(1))
    assert (compared.median, len(compared.prices)) == (100, 2)


def test_hundredfold_price_is_excluded_and_named(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(1, 0), quote(0.01, 0, "coinbase"))
    assert compute_index(catalog, settings, at(1)) == 0, "it is unclear which of two is wrong"
    assert [price.exchange for price in find_excluded_prices(catalog, FRESHNESS, at(1))] == ["coinbase", "kraken"]
    load(catalog, quote(1, 20))
    compute_index(catalog, settings, at(20))
    load(catalog, quote(1.1, 21), quote(0.01, 21, "coinbase"))
    compute_index(catalog, settings, at(21))
    assert index(catalog) == {"USD": 1.1}
    assert find_excluded_prices(catalog, FRESHNESS, at(21)) == [ExcludedPrice("coinbase", "BTC/USD", 0.01)]
    [problem] = pipeline_status(catalog, at(21)).price_problems
    assert "coinbase BTC/USD at 0.01 does not count" in problem


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


def test_price_of_an_exchange_whose_clock_is_ahead_counts_at_once(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(100, 0), quote(102, 0, "coinbase"))
    compute_index(catalog, settings, at(0))
    ahead = 3 + 4 / 60
    load(catalog, quote(110, ahead), quote(112, 3, "coinbase"), now=at(3))
    compute_index(catalog, settings, at(3))
    assert index(catalog) == {"USD": 111.0}
