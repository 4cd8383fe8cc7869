"""The chart in an email: an instrument's last 24 hours as a small PNG.

One color in steps of transparency, halfway between white and black, so that the line and labels are readable on a light
and on a dark background: mail programs change backgrounds, but not images.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from statistics import median

import structlog
from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import Engine

from coinwatch.alerts.rules import Metric
from coinwatch.database import autocommit
from coinwatch.formatting import format_price
from coinwatch.prices.history.downsampling import POINTS_PER_BUCKET, Buckets, PricePoint, downsample
from coinwatch.time_range import DAY, TimeRange

POINTS = 280  # one for every two pixels of width
# The line is interrupted where values are missing for this long, and for this many times their usual distance.
MIN_GAP, GAP_FACTOR = timedelta(hours=1), 5
CACHE_SIZE = 256  # charts of about 6 KB each
MAX_SECONDS = 10.0  # of one run; when hundreds of instruments fire at once, emails go out without charts after that

WIDTH, HEIGHT = 560, 180  # in CSS pixels on a wide screen; phones show it about half as large
DENSITY = 2  # device pixels per CSS pixel
SMOOTHING = 2  # drawn this many times larger, then scaled down: Pillow does not antialias lines
LEFT, RIGHT, TOP, BOTTOM = 8, 10, 36, 32
COLOR = (62, 130, 214)
STEPS = 15  # steps of transparency; with full transparency that is four bits per pixel
LEVELS = [round(level * STEPS / 255) for level in range(256)]
PALETTE = COLOR * (STEPS + 1)
TRANSPARENCY = bytes(255 * step // STEPS for step in range(STEPS + 1))
COMPRESSION = 3  # of 9: a seventh larger than at zlib's default of 6, in half the time
FULL, FILLED, FAINT = 255, 36, 96
FONT_SIZE = 20
LINE_WIDTH = 2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn PNG and what it shows: the lowest, highest and last value, in the instrument's quote or base currency.

    ``first_at``: the time of the first value.
    """

    png: bytes
    lowest: float
    highest: float
    last: float
    first_at: datetime


class Charts:
    """The charts of one run, each drawn once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cached = lru_cache(CACHE_SIZE)(self._read_and_draw)
        self._spent = 0.0

    def get(self, instrument_id: int, until: datetime, metric: Metric = "price") -> Chart | None:
        """The 24 hours up to a moment, which is marked with a dot.

        Returns None, and logs a warning, if there is nothing to show. Never raises: an email does not depend on its
        chart.
        """
        return self._cached(instrument_id, until, metric)

    def _read_and_draw(self, instrument_id: int, until: datetime, metric: Metric) -> Chart | None:
        if self._spent > MAX_SECONDS:
            return None
        started = time.monotonic()
        try:
            values = _values(self._engine, instrument_id, until, metric)
            if len(values) > 1:
                return draw(values, until - DAY, until)
            problem = "fewer than two values"
        except Exception as error:  # noqa: BLE001 - whatever it is, the email is sent without a chart
            problem = f"{type(error).__name__}: {error}"
        finally:
            self._spent += time.monotonic() - started
            if self._spent > MAX_SECONDS:
                log.warning("charts disabled for this run: too slow", seconds=round(self._spent, 1))
        log.warning("chart not drawn", instrument_id=instrument_id, until=until.isoformat(), error=problem)
        return None


def draw(values: Sequence[tuple[datetime, float]], start: datetime, end: datetime) -> Chart:
    """A line through two or more values, oldest first, over [start, end], with a dot at the last one."""
    lowest, highest = min(value for _, value in values), max(value for _, value in values)
    scale = DENSITY * SMOOTHING
    extent = (highest - lowest) or 1.0

    def position(moment: datetime, value: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * ((moment - start) / (end - start))
        height = (value - lowest) / extent if highest > lowest else 0.5
        return across * scale, (HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height) * scale

    last = position(*values[-1])
    ink = Image.new("L", (WIDTH * scale, HEIGHT * scale))
    pen = ImageDraw.Draw(ink)
    floor = (HEIGHT - BOTTOM + 2) * scale
    for run in _runs(values):
        line = [position(moment, value) for moment, value in run]
        pen.polygon([(line[0][0], floor), *line, (line[-1][0], floor)], fill=FILLED)
        pen.line(line, fill=FULL, width=LINE_WIDTH * scale)  # round joints take a third of the time and can't be seen
        pen.circle(line[0], LINE_WIDTH * scale / 2, fill=FULL)  # a single value is a point
    pen.line([(LEFT * scale, floor), ((WIDTH - RIGHT) * scale, floor)], fill=FAINT, width=scale // 2)
    pen.circle(last, 4.5 * scale, fill=FULL)
    ink = ink.reduce(SMOOTHING)
    _label(ink, start, end, lowest, highest)
    return Chart(_png(ink), lowest, highest, values[-1][1], values[0][0])


def _values(engine: Engine, instrument_id: int, until: datetime, metric: Metric) -> list[tuple[datetime, float]]:
    day = TimeRange(until - DAY, until + timedelta(microseconds=1))
    with autocommit(engine) as connection:
        points, *_ = downsample(connection, instrument_id, Buckets(day, POINTS // POINTS_PER_BUCKET), POINTS)
    found = ((point.observed_at, _value(point, metric)) for point in points)
    return [(moment, value) for moment, value in found if value is not None and math.isfinite(value)]


def _value(point: PricePoint, metric: Metric) -> float | None:
    return point.price if metric == "price" else point.volume_24h


def _runs(values: Sequence[tuple[datetime, float]]) -> Iterator[Sequence[tuple[datetime, float]]]:
    """The values between gaps: a line across a gap would be invented."""
    distances = [(after - before).total_seconds() for (before, _), (after, _) in pairwise(values)]
    gap = max(MIN_GAP.total_seconds(), GAP_FACTOR * median(distances))
    first = 0
    for position, distance in enumerate(distances, 1):
        if distance > gap:
            yield values[first:position]
            first = position
    yield values[first:]


def _label(ink: Image.Image, start: datetime, end: datetime, lowest: float, highest: float) -> None:
    """Write the labels at final size: Pillow antialiases text."""
    pen, font = ImageDraw.Draw(ink), _font()
    top, bottom = 3 * DENSITY, (HEIGHT - 4) * DENSITY
    left, right = LEFT * DENSITY, (WIDTH - RIGHT) * DENSITY
    first, last = _moment(start), _moment(end)
    pen.text((left, bottom), first, FULL, font, anchor="ls")
    pen.text((right, bottom), last, FULL, font, anchor="rs")
    pen.text((left, top), f"lowest {format_price(lowest)}", FULL, font, anchor="lt")
    pen.text((right, top), f"highest {format_price(highest)}", FULL, font, anchor="rt")


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%d %b %H:%M UTC")


@lru_cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE * DENSITY)


def _png(ink: Image.Image) -> bytes:
    """The ink as transparency of one color."""
    image = ink.point(LEVELS)
    image.putpalette(PALETTE)
    file = BytesIO()
    image.save(file, "PNG", bits=4, compress_level=COMPRESSION, transparency=TRANSPARENCY)
    return file.getvalue()
