"""The price history of one instrument as a limited number of points."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, reading
from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.resolutions import Resolution
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.downsampling import (
    LONGEST_RANGE_OF_PRICES,
    POINTS_PER_BUCKET,
    Buckets,
    Kind,
    PricePoint,
    downsample,
    downsample_candles,
)
from coinwatch.time_range import TimeRange, validate_range

MAX_POINTS = 5000
MAX_PRICES_PER_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Points of one instrument, oldest first.

    ``made_of`` lists what the points were read from: observed prices, candles of a resolution, or both. ``downsampled``
    is True if there were more prices than points were requested, or candles were read: then not all prices are listed.
    """

    exchange: str
    base: str
    quote: str
    made_of: tuple[Kind, ...]
    downsampled: bool
    points: list[PricePoint]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with each point as a dictionary of its fields."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        points = [
            {"observed_at": moment, "price": price, "volume_24h": volume} for moment, price, volume in self.points
        ]
        return values | {"points": points}


def read_series(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    start: datetime,
    end: datetime,
    points: int = 500,
    resolution: Resolution | None = None,
) -> PriceSeries:
    """The price history of one instrument in ``[start, end)``, in at most ``points`` points.

    Points are the prices as observed. If there are more than ``points``, the range is divided into equal buckets, of
    which the first, last, lowest and highest price are kept. Gaps, and ranges with very many prices, are filled from
    candles, downsampled in the same way. With ``resolution``, only candles of that resolution are read. ``coin`` is a
    code or a name; without ``exchange`` it is the index. Raises NotFound for an unknown coin, exchange or currency and
    InvalidRequest for an invalid range or number of points.
    """
    validate_range(start, end)
    if not POINTS_PER_BUCKET <= points <= MAX_POINTS:
        raise InvalidRequest(
            "points", f"points is {points}; it must be between {POINTS_PER_BUCKET} and {MAX_POINTS:,}."
        )
    buckets = Buckets(TimeRange(start.astimezone(UTC), end.astimezone(UTC)), points // POINTS_PER_BUCKET)
    kinds: list[Kind]
    with reading(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        if resolution is None:
            found, kinds, downsampled = downsample(connection, instrument.instrument_id, buckets, points)
        else:
            found = downsample_candles(connection, instrument.instrument_id, buckets, resolution)
            kinds, downsampled = [resolution], True
    made_of = tuple(dict.fromkeys(kinds))
    return PriceSeries(instrument.exchange, instrument.base, instrument.quote, made_of, downsampled, found)


def read_newest_prices(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    start: datetime,
    end: datetime,
    limit: int,
) -> list[PricePoint]:
    """The newest ``limit`` prices of one instrument in ``[start, end)`` as observed, newest first.

    Of a long range, only the last 92 days are searched. Raises NotFound for an unknown coin, exchange or currency and
    InvalidRequest for an invalid range.
    """
    validate_range(start, end)
    with reading(engine) as connection:
        parameters = {
            "instrument_id": find_instrument(connection, coin, exchange, quote).instrument_id,
            "start": max(start, end - LONGEST_RANGE_OF_PRICES),
            "end": end,
            "limit": limit,
        }
        return fetch_rows(connection, "prices/history/select_newest_prices", parameters, PricePoint)


def read_prices(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    start: datetime,
    end: datetime,
    limit: int,
) -> tuple[PriceSeries, datetime | None]:
    """The recorded prices of one instrument in ``[start, end)``, at most ``limit``, and where the next page starts.

    That is None if there are no more. A page may have fewer prices than ``limit``, or none, and not be the last: each
    day is a partition, and at most 92 of them are searched. Raises NotFound and InvalidRequest as ``read_series``.
    """
    validate_range(start, end)
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    searched_until = min(end, start + LONGEST_RANGE_OF_PRICES)
    with reading(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        parameters = {
            "instrument_id": instrument.instrument_id,
            "start": start,
            "end": searched_until,
            "limit": limit + 1,
        }
        found = fetch_rows(connection, "prices/history/select_prices", parameters, PricePoint)
    following = found[limit].observed_at if len(found) > limit else searched_until if searched_until < end else None
    series = PriceSeries(instrument.exchange, instrument.base, instrument.quote, ("prices",), False, found[:limit])
    return series, following
