"""A price line as inline SVG: what people without JavaScript see, and everybody until the script has run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from coinwatch.prices.reading import PricePoint
from coinwatch.web.holes import segments

WIDTH, HEIGHT = 720, 280
LEFT, RIGHT, TOP, BOTTOM = 84, 12, 12, 28
TIME_STEPS = [timedelta(minutes=m) for m in (1, 5, 10, 15, 30)] + [
    timedelta(hours=h) for h in (1, 2, 3, 6, 12, 24, 48, 24 * 5, 24 * 10)
]


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis, in the picture's coordinates."""

    position: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of :data:`WIDTH` x :data:`HEIGHT`; each of ``lines`` is a polyline's points attribute.

    Between two lines is one of the ``holes``, given by its left side and its width.
    """

    lines: list[str]
    holes: list[tuple[float, float]]
    last: tuple[float, float]
    price_ticks: list[Tick]
    time_ticks: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    top: int = TOP
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def draw(
    points: Sequence[PricePoint], start: datetime, end: datetime, breaks: Sequence[tuple[datetime, datetime]] = ()
) -> Chart | None:
    """The line through the points over [start, end], interrupted by ``breaks``; None without points."""
    if not points:
        return None
    low, high = _padded(min(point.price for point in points), max(point.price for point in points))

    def x(moment: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((moment - start) / (end - start))

    def y(price: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (price - low) / (high - low)

    def place(point: PricePoint) -> tuple[float, float]:
        return round(x(point.observed_at), 1), round(y(point.price), 1)

    return Chart(
        lines=[_polyline([place(point) for point in run]) for run in segments(points, breaks)],
        holes=[(round(x(first), 1), round(x(last) - x(first), 1)) for first, last in breaks],
        last=place(points[-1]),
        price_ticks=[Tick(round(y(value), 1), label) for value, label in _price_ticks(low, high)],
        time_ticks=[Tick(round(x(moment), 1), label) for moment, label in _time_ticks(start, end)],
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


def _time_ticks(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """At most seven round moments; days where the range is long, times where it is short (UTC)."""
    step = next((step for step in TIME_STEPS if (end - start) / step <= 7), TIME_STEPS[-1])
    form = "%d %b" if step >= timedelta(hours=24) else "%H:%M"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moment = epoch + math.ceil((start - epoch) / step) * step
    ticks = []
    while moment < end:
        ticks.append((moment, moment.strftime(form)))
        moment += step
    return ticks
