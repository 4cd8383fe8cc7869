"""How an index value is computed, and how values over different exchanges are compared (guarantees: docs/index.md).

An index is a chain: each value has a divisor, and two values are compared after dividing each by its own. The divisor
changes only when an exchange comes or goes, by so much that the change between the two values is the one over the
exchanges in both. Stock indices do the same when a company is replaced.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import log
from statistics import median
from typing import Any, Self

# A price this many times above or below the median of the others is of another coin, or in another unit.
OUTLIER_FACTOR = 100


@dataclass(frozen=True, slots=True)
class ExchangePrice:
    """One exchange's fresh price of a pair, and its 24 h volume in the base currency."""

    exchange: str
    price: float
    volume_24h: float | None
    observed_at: datetime
    aggregator: bool = False


@dataclass(frozen=True, slots=True)
class IndexValue:
    """An index value, observed when the newest price that counts was; ``volume`` is None if no exchange has one."""

    observed_at: datetime
    price: "IndexPart"
    volume: "IndexPart | None"


@dataclass(frozen=True, slots=True)
class IndexPart:
    """The price or the 24 h volume of an index.

    ``counted`` has the values by exchange that it was computed from, ``known`` also those that did not count.
    """

    value: float
    divisor: float
    counted: Mapping[str, float]
    known: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The part as plain values that can be serialized as JSON."""
        return {"value": self.value, "divisor": self.divisor, "counted": self.counted, "known": self.known}

    def scaled(self, factor: float) -> Self:
        """The part in another unit."""
        counted, known = ({name: value * factor for name, value in part.items()} for part in (self.counted, self.known))
        return replace(self, value=self.value * factor, counted=counted, known=known)

    def without(self, exchanges: Collection[str]) -> Self:
        """The part as if these exchanges had not been known, so that the next value is not compared with theirs."""
        counted, known = (
            {name: part[name] for name in part if name not in exchanges} for part in (self.counted, self.known)
        )
        return replace(self, counted=counted, known=known)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> Self | None:
        """The inverse of ``as_dict``; None if there is no part."""
        return cls(**values) if values else None


def compute_index_value(
    prices: Sequence[ExchangePrice], price: IndexPart | None, volume: IndexPart | None
) -> IndexValue | None:
    """The median of the prices that count and the sum of the exchanges' volumes; None if no price counts.

    ``price`` and ``volume`` are the parts of the previous value, to which the new ones are chained. An aggregator
    counts only if no exchange has a price, and its volume never does: it already contains those of the exchanges.
    """
    kept, _ = split_outliers(prices, price.value if price else None)
    counted = [each for each in kept if not each.aggregator]
    volumes = {each.exchange: each.volume_24h for each in counted if each.volume_24h is not None}
    counted = counted or kept
    if not counted:
        return None
    known = {each.exchange: each.price for each in kept}
    return IndexValue(
        max(each.observed_at for each in counted),
        _chain(price, {each.exchange: each.price for each in counted}, known, median),
        _chain(volume, volumes, volumes, sum) if volumes else None,
    )


def split_outliers(
    prices: Sequence[ExchangePrice], last_price: float | None
) -> tuple[list[ExchangePrice], list[ExchangePrice]]:
    """The plausible prices, and those at least ``OUTLIER_FACTOR`` times above or below the median of the others.

    If the others cannot tell which is wrong, as with two, the prices near the last index price are plausible; without
    one, none is.
    """
    kept, outliers = list(prices), list[ExchangePrice]()
    while len(kept) > 1:
        distances = [_distance_from_others(each, kept) for each in kept]
        farthest = max(distances)
        if farthest < log(OUTLIER_FACTOR) - 1e-9:
            break
        suspects = [each for each, distance in zip(kept, distances, strict=True) if distance > farthest - 1e-9]
        if _distance(min(each.price for each in suspects), max(each.price for each in suspects)) < farthest / 2:
            wrong = suspects
        elif last_price is None:
            return [], [*outliers, *kept]
        else:
            wrong = [max(suspects, key=lambda each: _distance(each.price, last_price))]
        kept = [each for each in kept if each not in wrong]
        outliers += wrong
    return kept, outliers


def _distance_from_others(price: ExchangePrice, prices: Sequence[ExchangePrice]) -> float:
    """The median of logarithms: between two prices, it is not drawn to the higher one."""
    return abs(log(price.price) - median(log(other.price) for other in prices if other is not price))


def _distance(first: float, second: float) -> float:
    return abs(log(first / second))


def _chain(
    previous: IndexPart | None,
    counted: Mapping[str, float],
    known: Mapping[str, float],
    combine: Callable[[Iterable[float]], float],
) -> IndexPart:
    value = combine(counted.values())
    divisor = previous.divisor if previous else 1.0
    if previous and counted.keys() != previous.counted.keys():
        both = sorted(counted.keys() & previous.known.keys())
        # With none in both, how much the market moved is unknown: the values are treated as equal.
        before, now = (combine(part[each] for each in both) if both else 1.0 for part in (previous.known, counted))
        if previous.value * value * before * now > 0:
            divisor *= (value / previous.value) * (before / now)
    return IndexPart(value, divisor, counted, known)
