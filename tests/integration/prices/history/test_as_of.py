"""The price at a moment, on one exchange and compared across exchanges."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.database import transaction
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import set_exchange_enabled
from coinwatch.prices.history.as_of import compare_exchange_prices, read_price_at
from tests.support.quotes import at, load, quote

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WIDTHS: dict[Resolution, int] = {"1m": 1, "1h": 60, "1d": 1440}


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


def test_exchange_candle_counts_from_its_end(catalog: sa.Engine, btc: int) -> None:
    load(catalog, quote(100, 125))  # at 14:05; the candle is the hour from 14:00
    store_candles(catalog, "1h", [StoredCandle(btc, Candle(at(120), 100, 120, 100, 120))])
    for tolerance in (HOUR, 24 * HOUR):
        assert price_at(catalog, 210, tolerance=tolerance) == (120, 30 * 60, "1h"), tolerance
    compared = compare_exchange_prices(catalog, "BTC", moment=at(210))
    assert [(price.price, price.kind) for price in compared.prices] == [(120, "1h")]


def test_own_candle_is_never_preferred_to_the_quote_it_was_computed_from(catalog: sa.Engine) -> None:
    load(catalog, quote(100, 5, bid=99.0, ask=101.0))
    refresh_candles(catalog)
    for minutes in (6, 7, 61, 600):
        assert price_at(catalog, minutes, tolerance=24 * HOUR) == (100, (minutes - 5) * 60, "prices")


@hypothesis_settings(max_examples=60)
@given(
    quotes=st.dictionaries(st.integers(0, 300), st.integers(1, 9), max_size=5),
    candles=st.sets(st.tuples(st.sampled_from([*WIDTHS]), st.integers(0, 5)), max_size=8),
    refreshed=st.booleans(),
    moment=st.integers(0, 360),
    tolerances=st.lists(st.sampled_from([1, 5, 30, 60, 120, 600, 3000]), min_size=2, max_size=5, unique=True),
)
def test_wider_tolerance_never_returns_an_older_price(
    catalog: sa.Engine,
    btc: int,
    quotes: dict[int, int],
    candles: set[tuple[Resolution, int]],
    refreshed: bool,
    moment: int,
    tolerances: list[int],
) -> None:
    with transaction(catalog) as connection:
        for table in ("prices", "latest_quotes", "candles", "stale_candles"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    if quotes:
        load(catalog, *(quote(price, minute + 0.5) for minute, price in quotes.items()), now=at(400))
    for resolution, number in candles:
        start = at(-720 if resolution == "1d" else number * WIDTHS[resolution])
        store_candles(catalog, resolution, [StoredCandle(btc, Candle(start, 3, 3, 3, 3))])
    if refreshed:
        refresh_candles(catalog)
    found = []
    for tolerance in sorted(tolerances):
        try:
            found.append(read_price_at(catalog, "BTC", "kraken", moment=at(moment), tolerance=tolerance * MINUTE))
        except NotFound:
            assert not found, "a wider tolerance finds at least as much"
    assert len(set(found)) <= 1


def test_comparison_has_no_median_of_simulated_prices_if_a_real_exchange_is_enabled(catalog: sa.Engine) -> None:
    load(catalog, quote(100, 0), quote(500, 30, "coinnews"))
    found = compare_exchange_prices(catalog, "BTC", moment=at(30))
    assert (found.median, len(found.prices)) == (None, 2)
    for code in ("kraken", "coinbase", "binance"):
        set_exchange_enabled(catalog, code, False)
    assert compare_exchange_prices(catalog, "BTC", moment=at(30)).median == 500
