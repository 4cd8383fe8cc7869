"""The resolution at which the candles of a time range suit a chart."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.resolutions import READ_RESOLUTIONS, WIDTHS, ReadResolution
from coinwatch.prices.candles.series import CandleSeries, read_candles
from coinwatch.prices.catalog import find_instrument
from coinwatch.time_range import DAY, HOUR, validate_range

MAX_BARS = 1000
# Coarser candles are used if they begin earlier by more than this part of the range.
SHARE_MISSING = 1 / 10
FITTING = tuple(resolution for resolution in READ_RESOLUTIONS if resolution != "1M")  # which are not equally long


class _FirstCandles(NamedTuple):
    minutes: datetime | None
    hours: datetime | None
    days: datetime | None


def read_fitting_candles(
    engine: Engine,
    coin: str,
    exchange: str | None = None,
    quote: str | None = None,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    lead: int = 0,
) -> CandleSeries:
    """Candles that open in ``[start, end)``, at the finest resolution with at most MAX_BARS of them.

    It is coarser where finer candles do not go back as far, or where most of them would be missing because prices are
    observed less often. ``lead`` candles before ``start`` are included, for averages. Days and weeks are those of UTC.
    Raises NotFound for an unknown coin, exchange or currency, and InvalidRequest for an invalid range.
    """
    validate_range(start, end)
    end = min(end, max(now, start))
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        key = {"instrument_id": instrument.instrument_id, "start": start, "end": end}
        [first] = fetch_rows(connection, "prices/history/select_first_candles", key, _FirstCandles)

    finest, begins = _begin(first, start, end)

    def read(resolution: ReadResolution) -> CandleSeries:
        begin = max(start, begins - WIDTHS[resolution]) - lead * WIDTHS[resolution]
        return read_candles(
            engine,
            instrument.base,
            instrument.exchange,
            instrument.quote,
            resolution=resolution,
            start=begin,
            end=max(end, begin + timedelta(microseconds=1)),
            now=now,
        )

    duration = end - begins
    fitting = [each for each in FITTING if WIDTHS[each] >= finest and duration / WIDTHS[each] <= MAX_BARS]
    resolution = fitting[0] if fitting else FITTING[-1]
    found = read(resolution)
    usual = usual_distance(found.candles)
    if usual > WIDTHS[resolution]:
        return read(next((each for each in FITTING if WIDTHS[each] >= usual), FITTING[-1]))
    return found


def usual_distance(candles: Sequence[Candle]) -> timedelta:
    """The median time between one candle and the next; zero for fewer than two."""
    distances = [(after.opened_at - before.opened_at).total_seconds() for before, after in pairwise(candles)]
    return timedelta(seconds=median(distances)) if distances else timedelta()


def _begin(first: _FirstCandles, start: datetime, end: datetime) -> tuple[timedelta, datetime]:
    """The width of the finest stored candles that go back far enough (zero for minutes), and where they begin."""
    finest, begins = timedelta(), first.minutes
    for coarser, width in ((first.hours, HOUR), (first.days, DAY)):
        # The hour that contains the first minute begins before it.
        slack = max(width, (end - start) * SHARE_MISSING)
        if coarser is not None and (begins is None or begins - coarser >= slack):
            finest, begins = width, coarser
    return finest, begins or start
