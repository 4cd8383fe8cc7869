"""Downsampling of one instrument's history: fewer points that keep its highs and lows.

The range is divided into equal buckets, and each keeps its first, last, lowest and highest point. So a line through
the kept points reaches the same highs and lows as a line through all of them. Where there are no prices, candles are
used instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from coinwatch.database import fetch_rows
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, WIDTHS, Resolution
from coinwatch.time_range import TimeRange

Kind = Literal["prices", "1m", "1h", "1d"]

POINTS_PER_BUCKET = 4
# Above this number of prices, candles are read instead: they already contain the lowest and highest.
MAX_PRICES = 200_000
# In a longer range, prices are not even looked for: each of its days is a partition.
LONGEST_RANGE_OF_PRICES = timedelta(days=92)
# A gap is filled if it is at least this fraction of the range (a smaller one is not visible) and longer than this many
# median distances between prices (a shorter one is not a gap).
SMALLEST_GAP = 1 / 50
MEDIAN_DISTANCES = 3
MAX_GAPS = 20
MICROSECOND = timedelta(microseconds=1)


class PricePoint(NamedTuple):
    """One point of a price history, in the quote currency; ``volume_24h`` is in the base currency."""

    observed_at: datetime
    price: float
    volume_24h: float | None


@dataclass(frozen=True, slots=True)
class Buckets:
    """A time range divided into ``count`` equal buckets, each of which keeps at most four points."""

    time_range: TimeRange
    count: int

    @property
    def width(self) -> timedelta:
        """The length of a bucket, rounded up so that the last one reaches the end."""
        return self.time_range.duration / self.count + MICROSECOND


class _FirstCandles(NamedTuple):
    minutes: datetime | None
    hours: datetime | None
    days: datetime | None


def downsample(
    connection: Connection, instrument_id: int, buckets: Buckets, max_points: int
) -> tuple[list[PricePoint], list[Kind], bool]:
    """At most ``max_points`` points, oldest first, what they were read from, and whether prices were left out.

    ``buckets`` has at most a quarter as many buckets as ``max_points``.
    """
    end = buckets.time_range.end
    prices = _read_prices(connection, instrument_id, buckets.time_range, max_points + 1)
    downsampled = len(prices) > max_points
    too_many = downsampled and _estimate_count(prices, end) > MAX_PRICES
    if too_many:
        prices = []
    elif downsampled:
        prices = downsample_prices(connection, instrument_id, buckets)
    filling, kinds = _fill_gaps(connection, instrument_id, prices, buckets, too_many=too_many)
    if prices and len(prices) + len(filling) > max_points:
        downsampled = True
        # The prices that a bucket keeps and the candles of the buckets without prices fit together.
        prices = downsample_prices(connection, instrument_id, buckets)
        filling, kinds = _fill_gaps(connection, instrument_id, prices, buckets, too_many=too_many)
    if too_many and not filling:
        return downsample_prices(connection, instrument_id, buckets), ["prices"], True
    if prices:
        kinds = ["prices", *kinds]
    points = sorted(prices + filling, key=lambda point: point.observed_at) if filling else prices
    return points, kinds, downsampled or bool(filling)


def _fill_gaps(
    connection: Connection, instrument_id: int, prices: list[PricePoint], buckets: Buckets, *, too_many: bool
) -> tuple[list[PricePoint], list[Kind]]:
    """Points from candles where there are no prices, and the resolutions they were read from."""
    filling: list[PricePoint] = []
    kinds: list[Kind] = []
    for gap in _find_gaps(prices, buckets):
        resolution = _choose_resolution(connection, instrument_id, gap)
        if too_many and resolution and WIDTHS[resolution] > buckets.width:
            resolution = None  # too coarse for a range in which there are this many prices
        if resolution:
            inner = _exclude_neighbors(gap, buckets.time_range, resolution)
            if found := downsample_candles(connection, instrument_id, inner, resolution):
                filling += found
                kinds.append(resolution)
    return filling, kinds


def downsample_prices(connection: Connection, instrument_id: int, buckets: Buckets) -> list[PricePoint]:
    """The first, last, lowest and highest price of each bucket, oldest first."""
    return fetch_rows(connection, "prices/history/downsample_prices", _parameters(instrument_id, buckets), PricePoint)


def downsample_candles(
    connection: Connection, instrument_id: int, buckets: Buckets, resolution: Resolution
) -> list[PricePoint]:
    """The first open, last close, lowest low and highest high of the candles that open in each bucket, oldest first."""
    parameters = _parameters(instrument_id, buckets) | {"resolution": resolution, "candle": WIDTHS[resolution]}
    return fetch_rows(connection, "prices/history/downsample_candles", parameters, PricePoint)


def _read_prices(connection: Connection, instrument_id: int, time_range: TimeRange, limit: int) -> list[PricePoint]:
    if time_range.duration > LONGEST_RANGE_OF_PRICES:
        return []
    parameters = {"instrument_id": instrument_id, "start": time_range.start, "end": time_range.end, "limit": limit}
    return fetch_rows(connection, "prices/history/select_prices", parameters, PricePoint)


def _parameters(instrument_id: int, buckets: Buckets) -> dict[str, object]:
    return {
        "instrument_id": instrument_id,
        "start": buckets.time_range.start,
        "end": buckets.time_range.end,
        "buckets": buckets.count,
        "width": buckets.width,
    }


def _estimate_count(prices: list[PricePoint], end: datetime) -> float:
    """How many prices there are up to ``end`` if they continue at the rate of the first ones."""
    elapsed = prices[-1].observed_at - prices[0].observed_at
    return len(prices) * ((end - prices[0].observed_at) / elapsed)


def _find_gaps(prices: list[PricePoint], buckets: Buckets) -> Iterator[Buckets]:
    """The largest visible gaps, each with as many buckets as are unused there."""
    if not prices:
        yield buckets
        return
    whole = buckets.time_range
    moments = [whole.start, *(point.observed_at for point in prices), whole.end]
    distances = [after - before for before, after in pairwise(moments)]
    smallest = whole.duration * SMALLEST_GAP
    if max(distances) <= smallest:
        return
    usual = median([distance.total_seconds() for distance in distances[1:-1]] or [0.0])
    smallest = max(smallest, timedelta(seconds=MEDIAN_DISTANCES * usual))
    visible = [(distance, start) for distance, start in zip(distances, moments, strict=False) if distance > smallest]
    for distance, start in sorted(visible, reverse=True)[:MAX_GAPS]:
        # The first and last bucket of a gap may also contain prices.
        unused = int(distance / buckets.width) - 1
        if unused > 0:
            yield Buckets(TimeRange(start, start + distance), unused)


def _exclude_neighbors(gap: Buckets, whole: TimeRange, resolution: Resolution) -> Buckets:
    """The gap without the candles that contain the price before and the price after it."""
    start, end = gap.time_range.start, gap.time_range.end
    if start != whole.start:
        start += MICROSECOND
    if end != whole.end:
        end += MICROSECOND - WIDTHS[resolution]
    return Buckets(TimeRange(start, max(start, end)), gap.count)


def _choose_resolution(connection: Connection, instrument_id: int, buckets: Buckets) -> Resolution | None:
    """The coarsest resolution with at least one candle per point, or a coarser one that goes further back.

    None if there are no candles.
    """
    whole = buckets.time_range
    key = {"instrument_id": instrument_id, "start": whole.start, "end": whole.end}
    first = fetch_rows(connection, "prices/history/select_first_candles", key, _FirstCandles)[0]
    starts: dict[Resolution, datetime | None] = {"1m": first.minutes, "1h": first.hours, "1d": first.days}
    slack = whole.duration * SMALLEST_GAP
    chosen: Resolution | None = None
    for resolution in STORED_RESOLUTIONS:
        width, start, best = WIDTHS[resolution], starts[resolution], starts[chosen] if chosen else None
        if start is None:
            continue
        fine_enough = whole.duration / width >= POINTS_PER_BUCKET * buckets.count
        if best is None or fine_enough or start + width + slack <= best:
            chosen = resolution
    return chosen
