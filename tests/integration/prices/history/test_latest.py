"""The latest price of every instrument."""

import pytest
import sqlalchemy as sa

from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.history.latest import read_latest_prices
from tests.support.backfill import instrument_id
from tests.support.quotes import at, load, quote
from tests.support.settings import COINS, make_settings


def test_latest_price_includes_age_and_24_hour_change(catalog: sa.Engine) -> None:
    load(catalog, quote(80.0, -24 * 60 - 5), quote(90.0, -24 * 60 + 5), quote(100.0, 0, bid=99.0, ask=101.0))
    [price] = read_latest_prices(catalog, at(1), "bitcoin", "kraken")
    assert (price.price, price.bid, price.ask, price.age_seconds) == (100.0, 99.0, 101.0, 60.0)
    assert price.change_24h_percent == pytest.approx(25.0)


def test_coins_are_in_configured_order(engine: sa.Engine) -> None:
    backwards = make_settings(coins=dict(reversed(COINS.items())))
    sync_catalog(engine, backwards)
    load(engine, quote(1.0, 0), quote(2.0, 0, pair="ETH/USD"))
    assert [price.base for price in read_latest_prices(engine, at(1))] == ["ETH", "BTC"]
    sync_catalog(engine, make_settings())
    assert [price.base for price in read_latest_prices(engine, at(1))] == ["BTC", "ETH"]


def test_change_is_measured_from_a_candle_if_prices_were_not_collected_yet(catalog: sa.Engine) -> None:
    minutes = [(-24 * 60 - 30, 70.0), (-24 * 60 - 1, 80.0), (-24 * 60, 90.0)]
    rows = [
        StoredCandle(instrument_id(catalog, "kraken"), Candle(at(minute), *[price] * 4)) for minute, price in minutes
    ]
    store_candles(catalog, "1m", rows)
    load(catalog, quote(100.0, 0))
    [price] = read_latest_prices(catalog, at(1), "BTC", "kraken")
    assert price.change_24h_percent == pytest.approx(25.0), "from the close of the candle that had ended"
    store_candles(catalog, "1m", [rows[0]._replace(candle=rows[0].candle._replace(opened_at=at(-26 * 60)))])
    load(catalog, quote(50.0, -24 * 60 - 10), now=at(1))
    [price] = read_latest_prices(catalog, at(1), "BTC", "kraken")
    assert price.change_24h_percent == pytest.approx(100.0), "a stored price takes precedence"


def test_change_is_missing_without_a_price_from_a_day_earlier(catalog: sa.Engine) -> None:
    load(catalog, quote(80.0, -26 * 60), quote(100.0, 0))
    [price] = read_latest_prices(catalog, at(1))
    assert price.change_24h_percent is None


def test_change_is_missing_if_the_price_is_older_than_a_day(catalog: sa.Engine) -> None:
    load(catalog, quote(80.0, -24 * 60 - 5), quote(100.0, 0))
    [fresh], [stale] = (read_latest_prices(catalog, at(24 * 60 + minutes), "BTC", "kraken") for minutes in (-1, 1))
    assert (fresh.change_24h_percent, stale.change_24h_percent) == (25.0, None)
    [without] = read_latest_prices(catalog, at(1), "BTC", "kraken", with_change=False)
    assert (without.price, without.change_24h_percent) == (100.0, None)
