"""What the index guarantees, whatever exchanges report: see docs/index.md."""

from datetime import UTC, datetime
from math import log
from statistics import median

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coinwatch.prices.ingest.index_values import ExchangePrice, IndexPart, compute_index_value, split_outliers

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = "ABCDE"
PRICES = st.dictionaries(st.sampled_from(NAMES), st.floats(50, 150), min_size=1)
VOLUMES = st.dictionaries(st.sampled_from(NAMES), st.floats(1, 1e6), min_size=1)
EXACT = 1e-9  # floating-point accuracy, relative


def exchange_price(name: str, price: float, volume: float | None = None, *, aggregator: bool = False) -> ExchangePrice:
    return ExchangePrice(name, price, volume, NOW, aggregator)


def parts(*steps: dict[str, float], aggregators: str = "", volumes: bool = False) -> list[IndexPart]:
    """The index after each step of prices (or volumes) by exchange."""
    found: list[IndexPart] = []
    previous: tuple[IndexPart | None, IndexPart | None] = (None, None)
    for step in steps:
        prices = [
            exchange_price(
                name, 100.0 if volumes else number, number if volumes else None, aggregator=name in aggregators
            )
            for name, number in sorted(step.items())
        ]
        value = compute_index_value(prices, *previous)
        assert value is not None
        previous = (value.price, value.volume or previous[1])
        part = value.volume if volumes else value.price
        assert part is not None
        found.append(part)
    return found


def change(before: IndexPart, after: IndexPart) -> float:
    """The change that rules see, as a ratio."""
    return (after.value / after.divisor) / (before.value / before.divisor)


@given(PRICES, PRICES)
def test_change_lies_between_those_of_the_exchanges_in_both_values(
    before: dict[str, float], after: dict[str, float]
) -> None:
    seen = change(*parts(before, after))
    ratios = [after[name] / before[name] for name in before.keys() & after.keys()] or [1.0]
    assert min(ratios) * (1 - EXACT) <= seen <= max(ratios) * (1 + EXACT)


@given(st.lists(PRICES, min_size=2, max_size=8))
def test_exchanges_that_come_and_go_change_nothing_while_prices_stand_still(steps: list[dict[str, float]]) -> None:
    prices = {name: price for step in steps for name, price in step.items()}
    standing = [{name: prices[name] for name in step} for step in steps]
    found = parts(*standing)
    assert change(found[0], found[-1]) == pytest.approx(1, rel=EXACT)


@given(st.lists(VOLUMES, min_size=2, max_size=8))
def test_volume_does_not_change_when_an_exchange_leaves(steps: list[dict[str, float]]) -> None:
    volumes = {name: volume for step in steps for name, volume in step.items()}
    standing = [{name: volumes[name] for name in step} for step in steps]
    found = parts(*standing, volumes=True)
    assert change(found[0], found[-1]) == pytest.approx(1, rel=EXACT)
    assert [part.value for part in found] == pytest.approx([sum(step.values()) for step in standing])


@given(PRICES, st.data())
def test_absence_of_an_exchange_moves_the_median_by_at_most_half_the_spread(
    prices: dict[str, float], data: st.DataObject
) -> None:
    assume(len(prices) > 1)
    absent = data.draw(st.sampled_from(sorted(prices)))
    present = {name: price for name, price in prices.items() if name != absent}
    moved = abs(parts(present)[0].value - parts(prices)[0].value)
    assert moved <= (max(prices.values()) - min(prices.values())) / 2 * (1 + EXACT)


@given(PRICES, st.floats(1e-6, 1e6), st.data())
def test_one_wrong_price_of_three_stays_within_the_others(
    prices: dict[str, float], factor: float, data: st.DataObject
) -> None:
    assume(len(prices) > 2)
    wrong = data.draw(st.sampled_from(sorted(prices)))
    others = [price for name, price in prices.items() if name != wrong]
    found = parts({**prices, wrong: prices[wrong] * factor})[0].value
    assert min(others) * (1 - EXACT) <= found <= max(others) * (1 + EXACT)


def test_volume_of_an_aggregator_is_never_added() -> None:
    [part] = parts({"coingecko": 400_000, "kraken": 11_000}, aggregators="coingecko", volumes=True)
    assert part.value == 11_000


def test_aggregator_that_takes_over_is_compared_with_its_own_last_price() -> None:
    found = parts({"coingecko": 100, "kraken": 102}, {"coingecko": 101}, aggregators="coingecko")
    assert [part.value for part in found] == [102, 101]
    assert change(*found) == pytest.approx(1.01)


def test_values_without_a_common_exchange_are_treated_as_equal() -> None:
    assert change(*parts({"A": 100.0}, {"B": 130.0})) == pytest.approx(1)


@pytest.mark.parametrize(
    ("prices", "last_price", "outliers"),
    [
        ([1, 1.01, 102], None, [102]),
        ([1, 1.01, 1e6], None, [1e6]),
        ([1, 1.01, 1.02, 1e6, 1e6], None, [1e6, 1e6]),
        ([1, 99], None, []),
        ([1, 100], None, [1, 100]),
        ([1, 100], 1.1, [100]),
        ([1, 1, 100, 100], 90, [1, 1]),
        ([5], 1000, []),
    ],
)
def test_hundredfold_prices_are_outliers(prices: list[float], last_price: float | None, outliers: list[float]) -> None:
    given_prices = [exchange_price(name, price) for name, price in zip(NAMES, prices, strict=False)]
    kept, found = split_outliers(given_prices, last_price)
    assert sorted(price.price for price in found) == outliers
    assert sorted(price.price for price in [*kept, *found]) == sorted(prices)


@given(st.lists(st.floats(1e-18, 1e15), min_size=2, max_size=6))
def test_no_price_that_counts_is_a_hundred_times_off_the_others(prices: list[float]) -> None:
    kept, _ = split_outliers([exchange_price(str(number), price) for number, price in enumerate(prices)], 1.0)
    for each in kept:
        others = [other.price for other in kept if other is not each]
        if others:
            assert abs(log(each.price) - median(map(log, others))) < log(100)
