"""The price at a moment, on one exchange and compared across exchanges."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.history.as_of import compare_exchange_prices, read_price_at
from tests.support.quotes import at, load, quote


def price_at(engine: sa.Engine, minutes: float, **more: timedelta) -> tuple[float, float, str]:
    """Price, age in seconds, and kind."""
    found = read_price_at(engine, "bitcoin", "kraken", moment=at(minutes), **more)
    return found.price, found.age_seconds, found.kind


def test_returns_the_last_price_at_or_before_the_given_time(catalog: sa.Engine) -> None:
    load(catalog, quote(10, 0), quote(11, 3), quote(12, 6))
    refresh_candles(catalog)
    assert price_at(catalog, 3) == (11, 0, "prices")
    assert price_at(catalog, 5.5) == (11, 150, "prices")
    with pytest.raises(NotFound, match="BTC/USD on kraken"):
        price_at(catalog, -1)
    with pytest.raises(NotFound, match="2 minutes"):
        price_at(catalog, 9, tolerance=timedelta(minutes=2))
    assert price_at(catalog, 60, tolerance=timedelta(hours=2)) == (12, 54 * 60, "prices")


def test_falls_back_to_the_close_of_the_finest_complete_candle(catalog: sa.Engine, btc: int) -> None:
    store_candles(catalog, "1d", [StoredCandle(btc, Candle(at(-720 - 1440), 1, 1, 1, 1))])
    store_candles(catalog, "1h", [StoredCandle(btc, Candle(at(-60 * hours), 2, 2, 2, 2)) for hours in range(1, 9)])
    store_candles(catalog, "1m", [StoredCandle(btc, Candle(at(-minutes), 3, 3, 3, 3)) for minutes in range(1, 31)])
    assert price_at(catalog, 0.5) == (3, 30, "1m")
    assert price_at(catalog, -40) == (2, 20 * 60, "1h"), "the candle of the current hour is not complete"
    assert price_at(catalog, -600, tolerance=timedelta(hours=30)) == (1, 120 * 60, "1d")


def test_newer_candle_is_preferred_to_an_older_price(catalog: sa.Engine, btc: int) -> None:
    load(catalog, quote(10, 0.5))
    refresh_candles(catalog)
    assert price_at(catalog, 2) == (10, 90, "prices")
    store_candles(catalog, "1m", [StoredCandle(btc, Candle(at(1), 3, 3, 3, 3))])
    assert price_at(catalog, 2) == (3, 0, "1m")


def test_exchanges_are_compared_with_the_median_of_fresh_real_prices(catalog: sa.Engine) -> None:
    load(
        catalog,
        quote(100, 9, "kraken", bid=99.0, ask=101.0),
        quote(102, 8, "coinbase"),
        quote(104, 9.5, "binance", "BTC/USDT"),
        quote(500, 9, "coinnews"),
        quote(103, 9, "index"),
    )
    found = compare_exchange_prices(catalog, "Bitcoin", moment=at(10))
    assert (found.base, set(found.quotes), found.median) == ("BTC", {"USD", "USDT"}, 102)
    prices = {price.exchange: price for price in found.prices}
    assert list(prices) == ["binance", "coinbase", "coinnews", "kraken"]
    assert prices["kraken"].deviation_percent == pytest.approx(100 * -2 / 102)
    assert (prices["kraken"].spread_percent, prices["kraken"].age_seconds) == (2.0, 60)
    assert (prices["binance"].quote, prices["binance"].deviation_percent) == ("USDT", pytest.approx(100 * 2 / 102))
    assert prices["coinnews"].simulated
    assert compare_exchange_prices(catalog, "BTC", "usdt", moment=at(10)).median == 104
    later = compare_exchange_prices(catalog, "BTC", moment=at(24), fresh=timedelta(minutes=15))
    assert later.median == 102, "of kraken and binance; coinbase is 16 minutes old"
    assert [price.exchange for price in later.prices if not price.fresh] == ["coinbase"]
    earlier = compare_exchange_prices(catalog, "BTC", moment=at(8.5))
    assert [(price.exchange, price.deviation_percent) for price in earlier.prices] == [("coinbase", 0.0)]
    none = compare_exchange_prices(catalog, "BTC", moment=at(-10))
    assert (none.median, none.prices) == (None, [])


def test_unknown_coin_or_invalid_time_is_an_error(catalog: sa.Engine) -> None:
    with pytest.raises(NotFound, match=r"XMR.*BTC, ETH"):
        compare_exchange_prices(catalog, "XMR", moment=at(0))
    with pytest.raises(NotFound, match=r"EUR.*USD, USDT"):
        compare_exchange_prices(catalog, "BTC", "EUR", moment=at(0))
    with pytest.raises(InvalidRequest, match="needs a time zone"):
        compare_exchange_prices(catalog, "BTC", moment=at(0).replace(tzinfo=None))
    with pytest.raises(InvalidRequest, match="1970"):
        read_price_at(catalog, "BTC", moment=datetime(1, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidRequest, match="31 days"):
        read_price_at(catalog, "BTC", moment=at(0), tolerance=timedelta(days=400))
