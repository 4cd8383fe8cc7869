"""Draws the coin page's chart as inline SVG, shown without JavaScript and until the script has run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.resolutions import WIDTHS
from coinwatch.web.services.charts.svg_chart import PAGE, Axes, Frame, Tick, lay_out, polyline
from coinwatch.web.services.coin.chart_data import CoinChart, Values

BODY = 0.7  # of the distance between two candles


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart in the coordinates of its ``frame``.

    ``rising`` and ``falling`` are the path data of the candles, ``lines`` the ``points`` attributes of polylines with
    the number of their series, from 1. ``gaps`` are (left, width).
    """

    frame: Frame
    rising: str
    falling: str
    lines: list[tuple[int, str]]
    gaps: list[tuple[float, float]]
    price_ticks: list[Tick]
    time_ticks: list[Tick]


def draw(chart: CoinChart, chart_type: str) -> Drawing:
    """Draw the bars of a chart, as candles or as a line."""
    width = WIDTHS[chart.resolution]
    start, end = chart.times[0], chart.times[-1] + width
    middles = [moment + width / 2 for moment in chart.times]
    breaks = [(max(first, start), min(last, end)) for first, last in chart.gaps.breaks if last > start and first < end]
    if chart.kind == "percent":
        changes = [value for line in chart.lines for value in line.values if value is not None]
        axes = lay_out(min(changes), max(changes), start, end, PAGE, unit="%")
        lines = [
            each
            for number, line in enumerate(chart.lines, 1)
            for each in _runs(axes, middles, line.values, breaks, number)
        ]
        return _drawing(axes, lines, breaks)
    candles = [candle for candle in chart.candles if candle is not None]
    averages = [value for line in chart.averages for value in line.values if value is not None]
    lows = [candle.low if chart_type == "candles" else candle.close for candle in candles]
    highs = [candle.high if chart_type == "candles" else candle.close for candle in candles]
    axes = lay_out(min(lows + averages), max(highs + averages), start, end, PAGE)
    lines = [
        each
        for number, line in enumerate(chart.averages, 2)
        for each in _runs(axes, middles, line.values, breaks, number)
    ]
    if chart_type != "candles":
        closes = [None if candle is None else candle.close for candle in chart.candles]
        return _drawing(axes, _runs(axes, middles, closes, breaks, 1) + lines, breaks)
    rises = [candle.close >= candle.open for candle in candles]
    body = BODY * (axes.x(middles[0] + width) - axes.x(middles[0]))
    paths = [_candle(axes, candle, axes.x(candle.opened_at + width / 2), body) for candle in candles]
    return _drawing(
        axes,
        lines,
        breaks,
        rising="".join(path for path, rise in zip(paths, rises, strict=True) if rise),
        falling="".join(path for path, rise in zip(paths, rises, strict=True) if not rise),
    )


def _drawing(
    axes: Axes,
    lines: list[tuple[int, str]],
    breaks: Iterable[tuple[datetime, datetime]],
    rising: str = "",
    falling: str = "",
) -> Drawing:
    return Drawing(axes.frame, rising, falling, lines, axes.gaps(breaks), axes.price_ticks, axes.time_ticks)


def _candle(axes: Axes, candle: Candle, x: float, body: float) -> str:
    top, bottom = sorted((axes.y(candle.open), axes.y(candle.close)))
    wick = f"M{x:g} {axes.y(candle.high):g}V{axes.y(candle.low):g}"
    return f"{wick}M{x - body / 2:.1f} {top:g}h{body:.1f}v{max(0.5, bottom - top):.1f}h{-body:.1f}z"


def _runs(
    axes: Axes,
    moments: Sequence[datetime],
    values: Values,
    breaks: Sequence[tuple[datetime, datetime]],
    number: int,
) -> list[tuple[int, str]]:
    """The line of a series, without a piece across ``breaks``."""
    known = [(moment, value) for moment, value in zip(moments, values, strict=True) if value is not None]
    cuts = [
        position
        for position, ((before, _), (after, _)) in enumerate(pairwise(known), 1)
        if any(start < after and end > before for start, end in breaks)
    ]
    bounds = [0, *cuts, len(known)]
    return [
        (number, polyline([(axes.x(moment), axes.y(value)) for moment, value in known[first:last]]))
        for first, last in pairwise(bounds)
        if last > first
    ]
