"""What a coin cost at a moment, here and everywhere."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.storage import StoredCandle, refresh_candles, store_candles
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.as_of import compare_exchanges, price_at
from tests.support.quotes import at, load, quote


@pytest.fixture
def btc(catalog: sa.Engine) -> int:
    """Kraken's BTC/USD."""
    with transaction(catalog) as connection:
        return find_instrument(connection, "BTC", "kraken").instrument_id


def told(engine: sa.Engine, minutes: float, **more: timedelta) -> tuple[float, float, str]:
    """Price, age in seconds, and what told it."""
    found = price_at(engine, "bitcoin", "kraken", moment=at(minutes), **more)
    return found.price, found.age_seconds, found.kind


def test_it_is_the_last_price_at_or_before_the_moment(catalog: sa.Engine) -> None:
    load(catalog, quote(10, 0), quote(11, 3), quote(12, 6))
    refresh_candles(catalog)
    assert told(catalog, 3) == (11, 0, "prices")
    assert told(catalog, 5.5) == (11, 150, "prices")
    with pytest.raises(NotFound, match=r"No price of BTC/USD at kraken .* up to 1 hour before"):
        told(catalog, -1)
    with pytest.raises(NotFound, match="up to 2 minutes before"):
        told(catalog, 9, tolerance=timedelta(minutes=2))
    assert told(catalog, 60, tolerance=timedelta(hours=2)) == (12, 54 * 60, "prices")


def test_where_no_price_is_kept_it_is_the_close_of_the_finest_candle_that_was_over(
    catalog: sa.Engine, btc: int
) -> None:
    store_candles(catalog, "1d", [StoredCandle(btc, Candle(at(-720 - 1440), 1, 1, 1, 1))])
    store_candles(catalog, "1h", [StoredCandle(btc, Candle(at(-60 * hours), 2, 2, 2, 2)) for hours in range(1, 9)])
    store_candles(catalog, "1m", [StoredCandle(btc, Candle(at(-minutes), 3, 3, 3, 3)) for minutes in range(1, 31)])
    assert told(catalog, 0.5) == (3, 30, "1m")
    assert told(catalog, -40) == (2, 20 * 60, "1h"), "the candle from which the hour's end is still to come is not over"
    assert told(catalog, -600, tolerance=timedelta(hours=30)) == (1, 120 * 60, "1d")


def test_a_later_candle_counts_for_more_than_an_older_price_and_the_price_for_more_than_its_own(
    catalog: sa.Engine, btc: int
) -> None:
    load(catalog, quote(10, 0.5))
    refresh_candles(catalog)
    assert told(catalog, 2) == (10, 90, "prices")
    store_candles(catalog, "1m", [StoredCandle(btc, Candle(at(1), 3, 3, 3, 3))])
    assert told(catalog, 2) == (3, 0, "1m")


def test_exchanges_are_compared_with_the_median_of_what_is_fresh_and_real(catalog: sa.Engine) -> None:
    load(
        catalog,
        quote(100, 9, "kraken", bid=99.0, ask=101.0),
        quote(102, 8, "coinbase"),
        quote(104, 9.5, "binance", "BTC/USDT"),
        quote(500, 9, "coinnews"),
        quote(103, 9, "index"),
    )
    found = compare_exchanges(catalog, "Bitcoin", moment=at(10))
    assert (found.base, set(found.quotes), found.median) == ("BTC", {"USD", "USDT"}, 102)
    prices = {price.exchange: price for price in found.prices}
    assert list(prices) == ["binance", "coinbase", "coinnews", "kraken"]
    assert prices["kraken"].deviation_percent == pytest.approx(100 * -2 / 102)
    assert (prices["kraken"].spread_percent, prices["kraken"].age_seconds) == (2.0, 60)
    assert (prices["binance"].quote, prices["binance"].deviation_percent) == ("USDT", pytest.approx(100 * 2 / 102))
    assert prices["coinnews"].simulated
    assert compare_exchanges(catalog, "BTC", "usdt", moment=at(10)).median == 104
    later = compare_exchanges(catalog, "BTC", moment=at(24), fresh=timedelta(minutes=15))
    assert later.median == 102, "of kraken and binance; coinbase is 16 minutes old"
    assert [price.exchange for price in later.prices if not price.fresh] == ["coinbase"]
    earlier = compare_exchanges(catalog, "BTC", moment=at(8.5))
    assert [(price.exchange, price.deviation_percent) for price in earlier.prices] == [("coinbase", 0.0)]
    nothing = compare_exchanges(catalog, "BTC", moment=at(-10))
    assert (nothing.median, nothing.prices) == (None, [])


def test_what_is_not_watched_or_no_moment_is_told(catalog: sa.Engine) -> None:
    with pytest.raises(NotFound, match=r"'XMR' is not watched at any exchange\. Watched: BTC, ETH"):
        compare_exchanges(catalog, "XMR", moment=at(0))
    with pytest.raises(NotFound, match="BTC is not priced in EUR at any exchange, but in USD, USDT"):
        compare_exchanges(catalog, "BTC", "EUR", moment=at(0))
    with pytest.raises(InvalidRequest, match="needs a time zone"):
        compare_exchanges(catalog, "BTC", moment=at(0).replace(tzinfo=None))
    with pytest.raises(InvalidRequest, match="1970"):
        price_at(catalog, "BTC", moment=datetime(1, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidRequest, match="1 second to 31 days"):
        price_at(catalog, "BTC", moment=at(0), tolerance=timedelta(days=400))
