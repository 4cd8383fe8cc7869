"""Price series: downsampled without losing spikes, with gaps filled from candles."""

from datetime import datetime, timedelta
from itertools import groupby
from random import Random

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.downsampling import PricePoint
from coinwatch.prices.history.series import read_series
from tests.support.quotes import at, load, quote


def test_downsampling_keeps_the_first_last_lowest_and_highest_points(catalog: sa.Engine) -> None:
    prices = [100.0 + (minute % 7) / 10 for minute in range(1000)]
    prices[123], prices[777] = 5.0, 500.0
    load(catalog, *(quote(price, minute) for minute, price in enumerate(prices)))
    points = read_series(catalog, "BTC", "kraken", start=at(0), end=at(1000), points=40).points
    assert len(points) <= 40
    assert points[0].observed_at == at(0)
    assert points[-1].observed_at == at(999)
    assert {5.0, 500.0} <= {point.price for point in points}
    assert [point.observed_at for point in points] == sorted(point.observed_at for point in points)


def test_range_is_half_open_and_short_series_are_not_downsampled(catalog: sa.Engine) -> None:
    load(catalog, *(quote(float(minute + 1), minute) for minute in range(10)))
    points = read_series(catalog, "BTC", "kraken", start=at(2), end=at(5), points=100).points
    assert [point.price for point in points] == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("hours", [1, 24, 7 * 24, 30 * 24])
def test_empty_time_before_the_first_price_does_not_use_up_points(catalog: sa.Engine, hours: int) -> None:
    load(catalog, *(quote(100.0 + minute, minute) for minute in range(17)))
    refresh_candles(catalog)
    end = at(20)
    found = read_series(catalog, "BTC", "kraken", start=end - timedelta(hours=hours), end=end, points=100)
    assert [point.observed_at for point in found.points] == [at(minute) for minute in range(17)]
    assert found.made_of == ("prices",)


def test_prices_are_downsampled_if_the_candles_before_them_leave_too_few_points(catalog: sa.Engine) -> None:
    load(catalog, *(quote(100.0 + minute % 5, minute) for minute in range(90)))
    store_minutes(catalog, -1440, 0)
    found = read_series(catalog, "BTC", "kraken", start=at(-1440), end=at(90), points=100)
    assert (found.made_of, len(found.points) <= 100) == (("prices", "1m"), True)
    assert (found.points[0].observed_at, found.points[-1].observed_at) == (at(-1440), at(89))


def test_invalid_range_or_unknown_coin_is_an_error(catalog: sa.Engine) -> None:
    with pytest.raises(InvalidRequest, match="must be before"):
        read_series(catalog, "BTC", start=at(1), end=at(1))
    with pytest.raises(InvalidRequest, match="time zone"):
        read_series(catalog, "BTC", start=at(0).replace(tzinfo=None), end=at(1))
    with pytest.raises(InvalidRequest, match="points"):
        read_series(catalog, "BTC", start=at(0), end=at(1), points=0)
    with pytest.raises(NotFound):
        read_series(catalog, "NOPE", start=at(0), end=at(1))


def downsampled(points: list[PricePoint], start: datetime, end: datetime, buckets: int) -> set[PricePoint]:
    """The first, the last, the first lowest and the first highest point of each bucket."""
    width = (end - start) / buckets
    kept = set()
    for _, group in groupby(points, key=lambda point: (point.observed_at - start) // width):
        bucket = list(group)
        kept |= {bucket[0], bucket[-1]}
        kept |= {min(bucket, key=lambda point: point.price), max(bucket, key=lambda point: point.price)}
    return kept


def test_each_bucket_keeps_its_four_extreme_points(catalog: sa.Engine) -> None:
    random = Random(7)
    minutes = [number + 0.5 for number in sorted(random.sample(range(-4000, 4000), 2500))]
    load(catalog, *(quote(random.choice([99.0, 100.0, 101.5]) + random.random() // 0.1, minute) for minute in minutes))
    whole = read_series(catalog, "BTC", "kraken", start=at(-4000), end=at(4000), points=3000).points
    assert len(whole) == 2500
    thin = read_series(catalog, "BTC", "kraken", start=at(-4000), end=at(4000), points=400).points
    assert set(thin) == downsampled(whole, at(-4000), at(4000), 100)
    assert thin == sorted(thin, key=lambda point: point.observed_at)


def store_minutes(engine: sa.Engine, first: int, last: int) -> None:
    """Store one-minute candles from ``first`` up to ``last`` (excluded), each with its own low and high."""
    with transaction(engine) as connection:
        btc = find_instrument(connection, "BTC", "kraken").instrument_id
    rows = (
        StoredCandle(btc, Candle(at(number), 50, 60 + number / 1e4, 40 - number / 1e4, 51, 1.0))
        for number in range(first, last)
    )
    store_candles(engine, "1m", rows)
    refresh_candles(engine)


def test_gaps_in_prices_are_filled_from_candles(catalog: sa.Engine) -> None:
    load(catalog, *(quote(100.0, minute) for minute in range(0, 1440, 3) if not 500 < minute < 900))
    load(catalog, *(quote(100.0, minute) for minute in range(1800, 2880, 3)))
    refresh_candles(catalog)
    before = read_series(catalog, "BTC", "kraken", start=at(0), end=at(2880), points=2000)
    assert before.made_of == ("prices",)
    store_minutes(catalog, 501, 900)
    filled = read_series(catalog, "BTC", "kraken", start=at(0), end=at(2880), points=2000)
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
        thin = read_series(catalog, "BTC", "kraken", start=at(0), end=at(2880), points=points).points
        assert len(thin) <= points
        assert {40 - 899 / 1e4, 60 + 899 / 1e4} <= {point.price for point in thin}


def test_without_prices_the_coarsest_candles_with_enough_detail_are_read(catalog: sa.Engine) -> None:
    store_minutes(catalog, -3 * 1440, 0)
    start, end = at(-3 * 1440), at(0)
    assert read_series(catalog, "BTC", "kraken", start=start, end=end, points=2000).made_of == ("1m",)
    few = read_series(catalog, "BTC", "kraken", start=start, end=end, points=60)
    assert few.made_of == ("1h",)
    assert len(few.points) <= 60
    assert (min(point.price for point in few.points), max(point.price for point in few.points)) == (
        40 - -1 / 1e4,
        60 + -1 / 1e4,
    )
    assert (few.points[0].observed_at, few.points[0].price) == (start, 50)
    assert (few.points[-1].observed_at, few.points[-1].price) == (end - timedelta(microseconds=1), 51)
    assert read_series(catalog, "BTC", "kraken", start=start, end=end, resolution="1d").made_of == ("1d",)


def test_hours_and_days_are_read_where_minutes_are_missing(catalog: sa.Engine) -> None:
    store_minutes(catalog, -60, 0)
    with transaction(catalog) as connection:
        btc = find_instrument(connection, "BTC", "kraken").instrument_id
    store_candles(
        catalog, "1h", [StoredCandle(btc, Candle(at(-60 * number), 70, 70, 70, 70)) for number in range(2, 48)]
    )
    found = read_series(catalog, "BTC", "kraken", start=at(-2880), end=at(0), points=500)
    assert found.made_of == ("1h",)
    assert found.points[0].observed_at < at(-2700)


def test_candles_replace_prices_when_the_range_has_too_many(
    catalog: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coinwatch.prices.history.downsampling.MAX_PRICES", 900)
    load(catalog, *(quote(100.0 + minute % 7, minute) for minute in range(1000)))
    request = {"start": at(0), "end": at(1000), "points": 40}
    assert read_series(catalog, "BTC", "kraken", **request).made_of == ("prices",), "there are no candles yet"
    refresh_candles(catalog)
    found = read_series(catalog, "BTC", "kraken", **request)
    assert found.made_of == ("1m",)
    assert {point.price for point in found.points} >= {100.0, 106.0}
