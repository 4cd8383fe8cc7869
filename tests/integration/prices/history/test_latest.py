"""Reading: the latest of everything, and a history that keeps its spikes."""

from datetime import datetime, timedelta
from itertools import groupby
from random import Random

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.storage import StoredCandle, refresh_candles, store_candles
from coinwatch.prices.catalog import find_instrument, sync_catalog
from coinwatch.prices.history.latest import PricePoint, latest_prices, price_history, series
from tests.support.quotes import at, load, quote
from tests.support.settings import COINS, make_settings


def test_the_latest_price_comes_with_its_age_and_its_change_over_a_day(catalog: sa.Engine) -> None:
    load(catalog, quote(80.0, -24 * 60 - 5), quote(90.0, -24 * 60 + 5), quote(100.0, 0, bid=99.0, ask=101.0))
    [price] = latest_prices(catalog, at(1), "bitcoin", "kraken")
    assert (price.price, price.bid, price.ask, price.age_seconds) == (100.0, 99.0, 101.0, 60.0)
    assert price.change_24h_percent == pytest.approx(25.0)


def test_coins_come_in_the_order_of_the_configuration(engine: sa.Engine) -> None:
    backwards = make_settings(coins=dict(reversed(COINS.items())))
    sync_catalog(engine, backwards)
    load(engine, quote(1.0, 0), quote(2.0, 0, pair="ETH/USD"))
    assert [price.base for price in latest_prices(engine, at(1))] == ["ETH", "BTC"]
    sync_catalog(engine, make_settings())
    assert [price.base for price in latest_prices(engine, at(1))] == ["BTC", "ETH"]


def test_without_a_price_of_a_day_before_there_is_no_change(catalog: sa.Engine) -> None:
    load(catalog, quote(80.0, -26 * 60), quote(100.0, 0))
    [price] = latest_prices(catalog, at(1))
    assert price.change_24h_percent is None


def test_a_price_that_is_itself_older_than_a_day_has_no_change(catalog: sa.Engine) -> None:
    load(catalog, quote(80.0, -24 * 60 - 5), quote(100.0, 0))
    [fresh], [stale] = (latest_prices(catalog, at(24 * 60 + minutes), "BTC", "kraken") for minutes in (-1, 1))
    assert (fresh.change_24h_percent, stale.change_24h_percent) == (25.0, None)
    [without] = latest_prices(catalog, at(1), "BTC", "kraken", with_change=False)
    assert (without.price, without.change_24h_percent) == (100.0, None)


def test_a_long_history_is_thinned_and_keeps_first_last_lowest_and_highest(catalog: sa.Engine) -> None:
    prices = [100.0 + (minute % 7) / 10 for minute in range(1000)]
    prices[123], prices[777] = 5.0, 500.0
    load(catalog, *(quote(price, minute) for minute, price in enumerate(prices)))
    points = price_history(catalog, "BTC", "kraken", start=at(0), end=at(1000), points=40).points
    assert len(points) <= 40
    assert points[0].observed_at == at(0)
    assert points[-1].observed_at == at(999)
    assert {5.0, 500.0} <= {point.price for point in points}
    assert [point.observed_at for point in points] == sorted(point.observed_at for point in points)


def test_a_range_is_half_open_and_short_ones_are_whole(catalog: sa.Engine) -> None:
    load(catalog, *(quote(float(minute + 1), minute) for minute in range(10)))
    points = price_history(catalog, "BTC", "kraken", start=at(2), end=at(5), points=100).points
    assert [point.price for point in points] == [3.0, 4.0, 5.0]


def test_nonsensical_ranges_and_unknown_coins_are_told_apart(catalog: sa.Engine) -> None:
    with pytest.raises(InvalidRequest, match="before its end"):
        price_history(catalog, "BTC", start=at(1), end=at(1))
    with pytest.raises(InvalidRequest, match="time zone"):
        price_history(catalog, "BTC", start=at(0).replace(tzinfo=None), end=at(1))
    with pytest.raises(InvalidRequest, match="points"):
        price_history(catalog, "BTC", start=at(0), end=at(1), points=0)
    with pytest.raises(NotFound):
        price_history(catalog, "NOPE", start=at(0), end=at(1))


def thinned(points: list[PricePoint], start: datetime, end: datetime, stretches: int) -> set[PricePoint]:
    """Of each stretch the first, the last, the first of the lowest and the first of the highest."""
    width = (end - start) / stretches
    kept = set()
    for _, group in groupby(points, key=lambda point: (point.observed_at - start) // width):
        stretch = list(group)
        kept |= {stretch[0], stretch[-1]}
        kept |= {min(stretch, key=lambda point: point.price), max(stretch, key=lambda point: point.price)}
    return kept


def test_each_stretch_keeps_exactly_its_four_points(catalog: sa.Engine) -> None:
    random = Random(7)
    minutes = [number + 0.5 for number in sorted(random.sample(range(-4000, 4000), 2500))]
    load(catalog, *(quote(random.choice([99.0, 100.0, 101.5]) + random.random() // 0.1, minute) for minute in minutes))
    whole = price_history(catalog, "BTC", "kraken", start=at(-4000), end=at(4000), points=3000).points
    assert len(whole) == 2500
    thin = price_history(catalog, "BTC", "kraken", start=at(-4000), end=at(4000), points=400).points
    assert set(thin) == thinned(whole, at(-4000), at(4000), 100)
    assert thin == sorted(thin, key=lambda point: point.observed_at)


def minute_candles(engine: sa.Engine, first: int, last: int) -> None:
    """The exchange's minutes from ``first`` to before ``last``, each with a low and a high of its own."""
    with transaction(engine) as connection:
        btc = find_instrument(connection, "BTC", "kraken").instrument_id
    rows = (
        StoredCandle(btc, Candle(at(number), 50, 60 + number / 1e4, 40 - number / 1e4, 51, 1.0))
        for number in range(first, last)
    )
    store_candles(engine, "1m", rows)
    refresh_candles(engine)


def test_a_hole_that_candles_know_of_is_filled_with_them_and_another_stays(catalog: sa.Engine) -> None:
    load(catalog, *(quote(100.0, minute) for minute in range(0, 1440, 3) if not 500 < minute < 900))
    load(catalog, *(quote(100.0, minute) for minute in range(1800, 2880, 3)))
    refresh_candles(catalog)
    before = series(catalog, "BTC", "kraken", start=at(0), end=at(2880), points=2000)
    assert before.made_of == ("prices",)
    minute_candles(catalog, 501, 900)
    filled = series(catalog, "BTC", "kraken", start=at(0), end=at(2880), points=2000)
    assert set(filled.made_of) == {"prices", "1m"}
    added = set(filled.points) - set(before.points)
    assert {point.observed_at for point in added} == {
        point.observed_at for point in filled.points if at(500) < point.observed_at < at(900)
    }
    assert (min(added, key=lambda point: point.price).price, max(added, key=lambda point: point.price).price) == (
        40 - 899 / 1e4,
        60 + 899 / 1e4,
    )
    assert not [point for point in filled.points if at(1440) < point.observed_at < at(1800)]
    for points in (60, 100, 700):
        thin = series(catalog, "BTC", "kraken", start=at(0), end=at(2880), points=points).points
        assert len(thin) <= points
        assert {40 - 899 / 1e4, 60 + 899 / 1e4} <= {point.price for point in thin}


def test_where_prices_are_gone_the_coarsest_candles_that_show_enough_are_read(catalog: sa.Engine) -> None:
    minute_candles(catalog, -3 * 1440, 0)
    start, end = at(-3 * 1440), at(0)
    assert series(catalog, "BTC", "kraken", start=start, end=end, points=2000).made_of == ("1m",)
    few = series(catalog, "BTC", "kraken", start=start, end=end, points=60)
    assert few.made_of == ("1h",)
    assert len(few.points) <= 60
    assert (min(point.price for point in few.points), max(point.price for point in few.points)) == (
        40 - -1 / 1e4,
        60 + -1 / 1e4,
    )
    assert (few.points[0].observed_at, few.points[0].price) == (start, 50)
    assert (few.points[-1].observed_at, few.points[-1].price) == (end - timedelta(microseconds=1), 51)
    assert series(catalog, "BTC", "kraken", start=start, end=end, resolution="1d").made_of == ("1d",)


def test_where_minutes_do_not_reach_back_hours_and_days_are_read(catalog: sa.Engine) -> None:
    minute_candles(catalog, -60, 0)
    with transaction(catalog) as connection:
        btc = find_instrument(connection, "BTC", "kraken").instrument_id
    store_candles(
        catalog, "1h", [StoredCandle(btc, Candle(at(-60 * number), 70, 70, 70, 70)) for number in range(2, 48)]
    )
    found = series(catalog, "BTC", "kraken", start=at(-2880), end=at(0), points=500)
    assert found.made_of == ("1h",)
    assert found.points[0].observed_at < at(-2700)


def test_far_too_many_prices_are_not_thinned_one_by_one(catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coinwatch.prices.history.downsampling.THINNED_AT_MOST", 900)
    load(catalog, *(quote(100.0 + minute % 7, minute) for minute in range(1000)))
    asked = {"start": at(0), "end": at(1000), "points": 40}
    assert series(catalog, "BTC", "kraken", **asked).made_of == ("prices",), "there are no candles yet"
    refresh_candles(catalog)
    found = series(catalog, "BTC", "kraken", **asked)
    assert found.made_of == ("1m",)
    assert {point.price for point in found.points} >= {100.0, 106.0}
