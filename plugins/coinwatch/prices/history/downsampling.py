"""Points of one instrument for a chart: prices as observed, candles where there are none, thinned without losing peaks.

The range is cut into equal stretches that keep their first, last, lowest and highest. So a thinned line touches the
same highs and lows as the whole one, and each price is looked at without being sorted.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from coinwatch.database import fetch_rows
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, WIDTHS, Resolution

Kind = Literal["prices", "1m", "1h", "1d"]

# More prices than this are not thinned one by one: candles know their lowest and highest already.
THINNED_AT_MOST = 200_000
# Nor are prices looked for in a longer range: each of its days is a partition.
LONGEST_OF_PRICES = timedelta(days=92)
# A hole is shorter than this part of the range: nobody sees it; or than so many usual distances: it is none.
SMALLEST_HOLE = 1 / 50
USUAL_DISTANCES = 3
HOLES_AT_MOST = 20
MICROSECOND = timedelta(microseconds=1)


class Point(NamedTuple):
    observed_at: datetime
    price: float
    volume_24h: float | None


class Span(NamedTuple):
    """Half-open; each of its ``stretches`` keeps at most four points."""

    start: datetime
    end: datetime
    stretches: int

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def width(self) -> timedelta:
        """Of one stretch; a little more than exact, so that the last one reaches the end."""
        return self.length / self.stretches + MICROSECOND


class _FirstOpened(NamedTuple):
    minutes: datetime | None
    hours: datetime | None
    days: datetime | None


def read_points(connection: Connection, instrument_id: int, span: Span, at_most: int) -> tuple[list[Point], list[Kind]]:
    """At most so many points of ``span``, oldest first, and the kinds of what they were made of."""
    prices = _prices(connection, instrument_id, span, at_most)
    too_many = len(prices) > at_most and _expected(prices, span.end) > THINNED_AT_MOST
    if too_many:
        prices = []
    elif len(prices) > at_most:
        prices = _thinned_prices(connection, instrument_id, span)
    holes = list(_holes(prices, span))
    if prices and len(prices) + 4 * sum(hole.stretches for hole in holes) > at_most:
        prices = _thinned_prices(connection, instrument_id, span)
        holes = list(_holes(prices, span))
    filling: list[Point] = []
    kinds: list[Kind] = ["prices"] if prices else []
    for hole in holes:
        resolution = _fitting(connection, instrument_id, hole)
        if too_many and resolution and WIDTHS[resolution] > span.width:
            resolution = None  # too coarse a picture of what is there in detail
        if resolution:
            inside = _between_prices(hole, span, resolution)
            if found := candle_points(connection, instrument_id, inside, resolution):
                filling += found
                kinds.append(resolution)
    if too_many and not filling:
        return _thinned_prices(connection, instrument_id, span), ["prices"]
    return sorted(prices + filling, key=lambda point: point.observed_at) if filling else prices, kinds


def candle_points(connection: Connection, instrument_id: int, span: Span, resolution: Resolution) -> list[Point]:
    """Candles opened in ``span`` as points: each stretch's first open, last close, lowest low and highest high."""
    candle = WIDTHS[resolution]
    return fetch_rows(
        connection,
        "prices/history/downsample_candles",
        _parameters(instrument_id, span) | {"resolution": resolution, "candle": candle},
        Point,
    )


def _prices(connection: Connection, instrument_id: int, span: Span, at_most: int) -> list[Point]:
    """The first prices of the span, one more than ``at_most`` where there are more."""
    if span.length > LONGEST_OF_PRICES:
        return []
    parameters = {"instrument_id": instrument_id, "start": span.start, "end": span.end, "at_most": at_most + 1}
    return fetch_rows(connection, "prices/history/between", parameters, Point)


def _thinned_prices(connection: Connection, instrument_id: int, span: Span) -> list[Point]:
    return fetch_rows(connection, "prices/history/downsample_prices", _parameters(instrument_id, span), Point)


def _parameters(instrument_id: int, span: Span) -> dict[str, object]:
    return {
        "instrument_id": instrument_id,
        "start": span.start,
        "end": span.end,
        "stretches": span.stretches,
        "width": span.width,
    }


def _expected(prices: list[Point], end: datetime) -> float:
    """How many prices the range holds if they go on as they began."""
    elapsed = prices[-1].observed_at - prices[0].observed_at
    return len(prices) * ((end - prices[0].observed_at) / elapsed)


def _holes(prices: list[Point], span: Span) -> Iterator[Span]:
    """Where prices are missing for longer than usual and long enough to be seen, with the stretches left free there."""
    if not prices:
        yield span
        return
    moments = [span.start, *(point.observed_at for point in prices), span.end]
    distances = [after - before for before, after in pairwise(moments)]
    usual = median([distance.total_seconds() for distance in distances[1:-1]] or [0.0])
    smallest = max(span.length * SMALLEST_HOLE, timedelta(seconds=USUAL_DISTANCES * usual))
    seen = [(distance, begins) for distance, begins in zip(distances, moments, strict=False) if distance > smallest]
    for distance, begins in sorted(seen, reverse=True)[:HOLES_AT_MOST]:
        # The stretches at both ends of a hole may hold prices that the thinning kept.
        free = int(distance / span.width) - 1
        if free > 0:
            yield Span(begins, begins + distance, free)


def _between_prices(hole: Span, span: Span, resolution: Resolution) -> Span:
    """Without the candles of the prices before and after the hole, which are told already."""
    start, end = hole.start, hole.end
    if start != span.start:
        start += MICROSECOND
    if end != span.end:
        end += MICROSECOND - WIDTHS[resolution]
    return hole._replace(start=start, end=max(start, end))


def _fitting(connection: Connection, instrument_id: int, span: Span) -> Resolution | None:
    """The coarsest candles that give one per point; coarser ones where those do not reach as far back.

    None where there are no candles at all.
    """
    key = {"instrument_id": instrument_id, "start": span.start, "end": span.end}
    first = fetch_rows(connection, "prices/history/first_opened", key, _FirstOpened)[0]
    opened: dict[Resolution, datetime | None] = {"1m": first.minutes, "1h": first.hours, "1d": first.days}
    slack = span.length * SMALLEST_HOLE
    enough = [name for name in STORED_RESOLUTIONS if span.length / WIDTHS[name] >= 4 * span.stretches]
    chosen: Resolution | None = None
    for name in STORED_RESOLUTIONS:
        begins, best = opened[name], opened[chosen] if chosen else None
        if begins is None:
            continue
        reaches_further = best is not None and begins + WIDTHS[name] + slack <= best
        if best is None or name in enough or reaches_further:
            chosen = name
    return chosen
