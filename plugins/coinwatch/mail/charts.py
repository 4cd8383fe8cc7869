"""The picture in a mail: an instrument's last 24 hours as a small PNG.

One colour in steps of transparency, half way between white and black, so that the line and its words stand out from a
light background and from a dark one: mail programs change backgrounds, but not pictures.
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
from coinwatch.database import transaction
from coinwatch.formatting import format_price
from coinwatch.prices.history.downsampling import POINTS_PER_BUCKET, Buckets, PricePoint, downsample
from coinwatch.time_range import TimeRange

DAY = timedelta(hours=24)
POINTS = 280  # one for every two points of the picture's width
SHORTEST_HOLE = timedelta(hours=1)  # without values, and so many times longer than it is usual for the instrument
USUAL_DISTANCES = 5
KEPT = 256  # pictures, of about 6 KB each
MOST_SECONDS = 10.0  # of one run; then mails go out without: hundreds of instruments at once are urgent enough

WIDTH, HEIGHT = 560, 180  # as a wide screen shows it; a phone about half as large, hence the large letters
DENSITY = 2  # pixels for each of those, for phones
SMOOTHING = 2  # drawn so many times larger, then made smaller: Pillow's lines have no soft edges
LEFT, RIGHT, TOP, BOTTOM = 8, 10, 36, 32
COLOUR = (62, 130, 214)
STEPS = 15  # of transparency beside full; sixteen colours take four bits a pixel
FULL, FILLED, FAINT = 255, 36, 96
LETTERS = 20
LINE = 2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn PNG and what it shows: the lowest, highest and last value, in the instrument's quote or base currency."""

    png: bytes
    lowest: float
    highest: float
    last: float


class Charts:
    """Pictures for one run of the sender; the same picture for everybody who hears of the same value."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept = lru_cache(KEPT)(self._read_and_draw)
        self._spent = 0.0

    def of(self, instrument_id: int, until: datetime, metric: Metric = "price") -> Chart | None:
        """The 24 hours up to a moment, that moment as a dot; None, and a warning, where there is nothing to show.

        Never raises: a picture keeps no mail back.
        """
        return self._kept(instrument_id, until, metric)

    def _read_and_draw(self, instrument_id: int, until: datetime, metric: Metric) -> Chart | None:
        if self._spent > MOST_SECONDS:
            return None
        begun = time.monotonic()
        try:
            values = _values(self._engine, instrument_id, until, metric)
            if len(values) > 1:
                return draw(values, until - DAY, until)
            reason = "fewer than two values"
        except Exception as error:  # noqa: BLE001 - whatever it is, the mail goes out without a picture
            reason = f"{type(error).__name__}: {error}"
        finally:
            self._spent += time.monotonic() - begun
            if self._spent > MOST_SECONDS:
                log.warning("charts took long, the other mails go out without", seconds=round(self._spent, 1))
        log.warning("no chart for a mail", instrument_id=instrument_id, until=until.isoformat(), reason=reason)
        return None


def draw(values: Sequence[tuple[datetime, float]], start: datetime, end: datetime) -> Chart:
    """The line through two values or more, oldest first, over [start, end], with a dot at the last one."""
    lowest, highest = min(value for _, value in values), max(value for _, value in values)
    scale = DENSITY * SMOOTHING
    room = (highest - lowest) or 1.0

    def place(moment: datetime, value: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * ((moment - start) / (end - start))
        height = (value - lowest) / room if highest > lowest else 0.5
        return across * scale, (HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height) * scale

    last = place(*values[-1])
    ink = Image.new("L", (WIDTH * scale, HEIGHT * scale))
    pen = ImageDraw.Draw(ink)
    floor = (HEIGHT - BOTTOM + 2) * scale
    for run in _runs(values):
        line = [place(moment, value) for moment, value in run]
        pen.polygon([(line[0][0], floor), *line, (line[-1][0], floor)], fill=FILLED)
        pen.line(line, fill=FULL, width=LINE * scale, joint="curve")
        pen.circle(line[0], LINE * scale / 2, fill=FULL)  # a value alone is a point
    pen.line([(LEFT * scale, floor), ((WIDTH - RIGHT) * scale, floor)], fill=FAINT, width=scale // 2)
    pen.circle(last, 4.5 * scale, fill=FULL)
    ink = ink.reduce(SMOOTHING)
    _write(ink, start, end, lowest, highest)
    return Chart(_png(ink), lowest, highest, values[-1][1])


def _values(engine: Engine, instrument_id: int, until: datetime, metric: Metric) -> list[tuple[datetime, float]]:
    day = TimeRange(until - DAY, until + timedelta(microseconds=1))
    with transaction(engine) as connection:
        points, _ = downsample(connection, instrument_id, Buckets(day, POINTS // POINTS_PER_BUCKET), POINTS)
    found = ((point.observed_at, _value(point, metric)) for point in points)
    return [(moment, value) for moment, value in found if value is not None and math.isfinite(value)]


def _value(point: PricePoint, metric: Metric) -> float | None:
    return point.price if metric == "price" else point.volume_24h


def _runs(values: Sequence[tuple[datetime, float]]) -> Iterator[Sequence[tuple[datetime, float]]]:
    """The values between the times without any: a line across those would be made up."""
    distances = [(after - before).total_seconds() for (before, _), (after, _) in pairwise(values)]
    hole = max(SHORTEST_HOLE.total_seconds(), USUAL_DISTANCES * median(distances))
    begins = 0
    for position, distance in enumerate(distances, 1):
        if distance > hole:
            yield values[begins:position]
            begins = position
    yield values[begins:]


def _write(ink: Image.Image, start: datetime, end: datetime, lowest: float, highest: float) -> None:
    """The words, at the size that is shown: letters have soft edges of their own."""
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
    return ImageFont.load_default(LETTERS * DENSITY)


def _png(ink: Image.Image) -> bytes:
    """The ink as transparency of one colour."""
    picture = ink.point([round(level * STEPS / 255) for level in range(256)])
    picture.putpalette(COLOUR * (STEPS + 1))
    file = BytesIO()
    picture.save(file, "PNG", bits=4, transparency=bytes(255 * step // STEPS for step in range(STEPS + 1)))
    return file.getvalue()
