"""Draws a price chart as inline SVG, shown without JavaScript and until the script has run."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from coinwatch.prices.history.downsampling import PricePoint
from coinwatch.web.services.charts.gaps import split_at_gaps

TIME_STEPS = [timedelta(minutes=m) for m in (1, 5, 10, 15, 30)] + [
    timedelta(hours=h) for h in (1, 2, 3, 6, 12, 24, 48, 24 * 5, 24 * 10, 24 * 30, 24 * 91, 24 * 182, 24 * 365)
]
MONTHS = timedelta(days=30)  # time labels this far apart are months


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis, at a position in the drawing's coordinates."""

    position: float
    label: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a drawing, and the edges of the plot area in it.

    ``left`` moves right if the price labels need more space. ``max_times`` is the number of time labels that fit,
    ``digit`` the width of a digit on a phone.
    """

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    max_times: int
    digit: float


PAGE = Frame(width=720, height=280, left=84, top=12, right=708, bottom=252, max_times=7, digit=12.8)
SMALL = Frame(width=360, height=180, left=58, top=10, right=352, bottom=154, max_times=4, digit=8.3)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in the coordinates of its ``frame``.

    ``lines`` are ``points`` attributes of polylines, ``gaps`` (left, width) between them, ``markers`` (x, y).
    ``levels`` are the y of the price levels within the plot.
    """

    frame: Frame
    lines: list[str]
    gaps: list[tuple[float, float]]
    last: tuple[float, float]
    price_ticks: list[Tick]
    time_ticks: list[Tick]
    markers: list[tuple[float, float]]
    levels: list[float]


def draw_chart(
    points: Sequence[PricePoint],
    start: datetime,
    end: datetime,
    breaks: Sequence[tuple[datetime, datetime]] = (),
    *,
    markers: Sequence[tuple[datetime, float]] = (),
    levels: Sequence[float] = (),
    frame: Frame = PAGE,
) -> Chart | None:
    """Draw the points over [start, end], without a line across ``breaks``.

    ``markers`` and ``levels`` are highlighted. Returns None if there are no points.
    """
    if not points:
        return None
    values = [point.price for point in points] + [value for _, value in markers]
    axes = lay_out(min(values), max(values), start, end, frame)

    def position(point: PricePoint) -> tuple[float, float]:
        return axes.x(point.observed_at), axes.y(point.price)

    positions = [(axes.x(moment), axes.y(value)) for moment, value in markers]
    return Chart(
        frame=axes.frame,
        lines=[polyline([position(point) for point in run]) for run in split_at_gaps(points, breaks)],
        gaps=axes.gaps(breaks),
        last=position(points[-1]),
        price_ticks=axes.price_ticks,
        time_ticks=axes.time_ticks,
        # Of markers that overlap only one is drawn, so thousands of alerts become a few hundred dots.
        markers=list({(x // 2, y // 2): (x, y) for x, y in positions}.values()),
        levels=[axes.y(level) for level in levels if axes.low <= level <= axes.high],
    )


@dataclass(frozen=True, slots=True)
class Axes:
    """Maps the time range [``start``, ``end``] and the values from ``low`` to ``high`` to the plot area of a frame."""

    frame: Frame
    start: datetime
    end: datetime
    low: float
    high: float
    price_ticks: list[Tick]

    def x(self, moment: datetime) -> float:
        """The horizontal position of a time."""
        frame = self.frame
        return round(frame.left + (frame.right - frame.left) * ((moment - self.start) / (self.end - self.start)), 1)

    def y(self, value: float) -> float:
        """The vertical position of a value."""
        return _height(self.frame, self.low, self.high, value)

    def gaps(self, breaks: Iterable[tuple[datetime, datetime]]) -> list[tuple[float, float]]:
        """Left edge and width of each break."""
        return [(self.x(first), round(self.x(last) - self.x(first), 1)) for first, last in breaks]

    @property
    def time_ticks(self) -> list[Tick]:
        """Labels at round times."""
        ticks = _time_ticks(self.start, self.end, self.frame.max_times)
        return [Tick(self.x(moment), label) for moment, label in ticks]


def lay_out(lowest: float, highest: float, start: datetime, end: datetime, frame: Frame, unit: str = "") -> Axes:
    """Axes for these values, with some room above and below; ``unit`` follows each label of a value."""
    low, high = _padded(lowest, highest)
    prices = [(value, label + unit) for value, label in _price_ticks(low, high)]
    label_width = 10 + frame.digit * max((len(label) for _, label in prices), default=0)
    frame = replace(frame, left=max(frame.left, round(label_width)))
    ticks = [Tick(_height(frame, low, high, value), label) for value, label in prices]
    return Axes(frame, start, end, low, high, ticks)


def _height(frame: Frame, low: float, high: float, value: float) -> float:
    return round(frame.bottom - (frame.bottom - frame.top) * (value - low) / (high - low), 1)


def polyline(positions: list[tuple[float, float]]) -> str:
    """The points of a line.

    A single price between two gaps becomes a line of length zero, which round line caps turn into a dot.
    """
    ends = positions * 2 if len(positions) == 1 else positions
    return " ".join(f"{x:g},{y:g}" for x, y in ends)


def _padded(low: float, high: float) -> tuple[float, float]:
    size = max(abs(low), abs(high))
    is_flat = high - low <= size * 1e-9  # also where floating point could not tell the ticks apart
    padding = (size or 1) * 0.01 if is_flat else (high - low) * 0.08
    return low - padding, high + padding


def _price_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Four to eight round prices, with as many digits as needed to distinguish them."""
    rough = (high - low) / 5
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(low / step)
    return [(number * step, f"{number * step:,.{digits}f}") for number in range(first, math.floor(high / step) + 1)]


def _time_ticks(start: datetime, end: datetime, max_ticks: int) -> list[tuple[datetime, str]]:
    """Up to ``max_ticks`` round times (UTC): dates for a long range, times of day for a short one."""
    step = next((step for step in TIME_STEPS if (end - start) / step <= max_ticks), TIME_STEPS[-1])
    label_format = "%b %Y" if step >= MONTHS else "%d %b" if step >= timedelta(hours=24) else "%H:%M"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moment = epoch + math.ceil((start - epoch) / step) * step
    ticks = []
    while moment < end:
        ticks.append((moment, moment.strftime(label_format)))
        moment += step
    return ticks
