"""Reading: the latest of everything, and a history that keeps its spikes."""

import pytest
import sqlalchemy as sa

from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.reading import latest_prices, price_history
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


def test_a_long_history_is_thinned_and_keeps_first_last_lowest_and_highest(catalog: sa.Engine) -> None:
    prices = [100.0 + (minute % 7) / 10 for minute in range(1000)]
    prices[123], prices[777] = 5.0, 500.0
    load(catalog, *(quote(price, minute) for minute, price in enumerate(prices)))
    points = price_history(catalog, "BTC", "kraken", start=at(0), end=at(1000), points=40).points
    assert len(points) <= 44
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
