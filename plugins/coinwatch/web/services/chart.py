"""A price line as inline SVG: what people without JavaScript see, and everybody until the script has run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from coinwatch.prices.history.latest import PricePoint
from coinwatch.web.services.chart_gaps import segments

TIME_STEPS = [timedelta(minutes=m) for m in (1, 5, 10, 15, 30)] + [
    timedelta(hours=h) for h in (1, 2, 3, 6, 12, 24, 48, 24 * 5, 24 * 10)
]


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis, in the picture's coordinates."""

    position: float
    label: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a drawing, the sides of the plot in it, how many times may stand below, and a digit's width on a phone.

    ``left`` is where the plot begins unless the prices need more room.
    """

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    times: int
    digit: float


PAGE = Frame(width=720, height=280, left=84, top=12, right=708, bottom=252, times=7, digit=12.8)
SMALL = Frame(width=360, height=180, left=58, top=10, right=352, bottom=154, times=4, digit=8.3)


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of the size of its ``frame``; each of ``lines`` is a polyline's points attribute.

    Between two lines is one of the ``holes``, given by its left side and its width. ``marks`` are places to point out,
    ``level`` is how far down a level lies, None where it lies outside.
    """

    frame: Frame
    lines: list[str]
    holes: list[tuple[float, float]]
    last: tuple[float, float]
    price_ticks: list[Tick]
    time_ticks: list[Tick]
    marks: list[tuple[float, float]]
    level: float | None


def draw(
    points: Sequence[PricePoint],
    start: datetime,
    end: datetime,
    breaks: Sequence[tuple[datetime, datetime]] = (),
    *,
    marks: Sequence[tuple[datetime, float]] = (),
    level: float | None = None,
    frame: Frame = PAGE,
) -> Chart | None:
    """The line through the points over [start, end], interrupted by ``breaks``; None without points."""
    if not points:
        return None
    values = [point.price for point in points] + [value for _, value in marks]
    low, high = _padded(min(values), max(values))
    prices = _price_ticks(low, high)
    room = 10 + frame.digit * max((len(label) for _, label in prices), default=0)
    frame = replace(frame, left=max(frame.left, round(room)))

    def x(moment: datetime) -> float:
        return round(frame.left + (frame.right - frame.left) * ((moment - start) / (end - start)), 1)

    def y(price: float) -> float:
        return round(frame.bottom - (frame.bottom - frame.top) * (price - low) / (high - low), 1)

    def place(point: PricePoint) -> tuple[float, float]:
        return x(point.observed_at), y(point.price)

    return Chart(
        frame=frame,
        lines=[_polyline([place(point) for point in run]) for run in segments(points, breaks)],
        holes=[(x(first), round(x(last) - x(first), 1)) for first, last in breaks],
        last=place(points[-1]),
        price_ticks=[Tick(y(value), label) for value, label in prices],
        time_ticks=[Tick(x(moment), label) for moment, label in _time_ticks(start, end, frame.times)],
        # Thousands of alerts are a few hundred dots: of those that lie on each other one is drawn.
        marks=list({(x(moment) // 2, y(value) // 2): (x(moment), y(value)) for moment, value in marks}.values()),
        level=y(level) if level is not None and low <= level <= high else None,
    )


def _polyline(places: list[tuple[float, float]]) -> str:
    """A price alone between two holes is drawn as a line to itself, which its round ends make a dot."""
    alone = places * 2 if len(places) == 1 else places
    return " ".join(f"{across:g},{down:g}" for across, down in alone)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.08 or high * 0.01
    return low - room, high + room


def _price_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Four to eight round prices with just the digits that tell them apart."""
    rough = (high - low) / 5
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(low / step)
    return [(number * step, f"{number * step:,.{digits}f}") for number in range(first, math.floor(high / step) + 1)]


def _time_ticks(start: datetime, end: datetime, most: int) -> list[tuple[datetime, str]]:
    """At most ``most`` round moments; days where the range is long, times where it is short (UTC)."""
    step = next((step for step in TIME_STEPS if (end - start) / step <= most), TIME_STEPS[-1])
    form = "%d %b" if step >= timedelta(hours=24) else "%H:%M"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moment = epoch + math.ceil((start - epoch) / step) * step
    ticks = []
    while moment < end:
        ticks.append((moment, moment.strftime(form)))
        moment += step
    return ticks
