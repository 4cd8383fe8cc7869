"""Which candles a resolution has in a time zone, and which stored candles they are made of.

Minutes and hours are the same everywhere. Four hours, days, weeks (from Monday) and months go by the clock on the wall
of a time zone: a day is 23 or 25 hours long when the clock is changed, and begins when midnight comes first.
"""

import difflib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.resolutions import (
    READ_RESOLUTIONS,
    STORED_RESOLUTIONS,
    WIDTHS,
    ReadResolution,
    Resolution,
)
from coinwatch.time_range import ceil_to, floor_to

MAX_CANDLES = 10_000
# Nothing was traded before there was Bitcoin.
EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)
MONDAY = datetime(2001, 1, 1, tzinfo=UTC)

BY_THE_CLOCK = frozenset({"4h", "1d", "1w", "1M"})


@dataclass(frozen=True, slots=True)
class Periods:
    """The candles opened in a stretch of time: the first opens at ``start``, the last ends at ``end`` (UTC).

    ``edges`` are all their ends and beginnings where they are not all ``width`` long, else None.
    """

    made_of: Resolution
    start: datetime
    end: datetime
    width: timedelta
    edges: Sequence[datetime] | None = None

    def end_of(self, opened_at: datetime) -> datetime:
        """When the candle opened then is over."""
        return opened_at + self.width if self.edges is None else self.edges[bisect_right(self.edges, opened_at)]


def periods(resolution: ReadResolution, zone: ZoneInfo, start: datetime, end: datetime) -> Periods:
    """The candles of ``resolution`` opened in ``[start, end)``, by the clock of ``zone``.

    Raises InvalidRequest when there may be more than MAX_CANDLES; the sentence says which resolution fits.
    """
    start, end = max(start.astimezone(UTC), EARLIEST), max(end.astimezone(UTC), EARLIEST)
    width = WIDTHS[resolution]
    if (end - start) / width > MAX_CANDLES:
        raise InvalidRequest("resolution", _too_many(resolution, end - start))
    if resolution == "1M" or (zone.key != "UTC" and resolution in BY_THE_CLOCK):
        return _by_the_clock(resolution, zone, start, end)
    first, last = ceil_to(start, width, MONDAY), ceil_to(end, width, MONDAY)
    return Periods(_made_of([MONDAY + width]), first, last, width)


def check_range(start: datetime, end: datetime) -> None:
    """Raises InvalidRequest unless both are moments of our calendar with a time zone, and ``start`` comes first."""
    check_moment("start", start)
    check_moment("end", end)
    if start >= end:
        raise InvalidRequest("start", "The start of the range has to lie before its end.")


def check_moment(name: str, moment: datetime) -> None:
    """Raises InvalidRequest for a moment without a time zone, and where counting from it would leave the calendar."""
    if moment.tzinfo is None:
        raise InvalidRequest(name, f"{name} needs a time zone, for example 2026-01-31T12:00:00Z.")
    if not 1970 <= moment.year <= 2999:
        raise InvalidRequest(name, f"{name} has to lie between the years 1970 and 2999, not in {moment.year}.")


def time_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as Europe/Berlin; raises InvalidRequest with similar names."""
    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError):
        similar = _similar_zones(name.strip())
        hint = f"Did you mean {' or '.join(similar)}?" if similar else "Names are like UTC or Europe/Berlin."
        raise InvalidRequest("timezone", f"There is no time zone {name!r}. {hint}") from None


def _by_the_clock(resolution: ReadResolution, zone: ZoneInfo, start: datetime, end: datetime) -> Periods:
    """Walks over the openings on the wall, one after the other, and notes the moments they happen."""
    following = _FOLLOWING[resolution]
    wall = _opening_on_the_wall(resolution, start.astimezone(zone).replace(tzinfo=None))
    edges: list[datetime] = []
    while not edges or edges[-1] < end:
        # Of a time that comes twice the first one; a time that is left out is when the clock is put forward.
        moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        wall = following(wall)
        if moment >= start and (not edges or moment > edges[-1]):
            edges.append(moment)
    made_of = _made_of(edges)
    return Periods(made_of, edges[0], edges[-1], WIDTHS[resolution], edges)


def _opening_on_the_wall(resolution: ReadResolution, wall: datetime) -> datetime:
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if resolution == "4h":
        return midnight + timedelta(hours=wall.hour // 4 * 4)
    if resolution == "1w":
        return midnight - timedelta(days=wall.weekday())
    return midnight.replace(day=1) if resolution == "1M" else midnight


def _next_month(wall: datetime) -> datetime:
    return (wall + timedelta(days=31)).replace(day=1)


_FOLLOWING: dict[ReadResolution, Callable[[datetime], datetime]] = {
    "4h": lambda wall: wall + timedelta(hours=4),
    "1d": lambda wall: wall + timedelta(days=1),
    "1w": lambda wall: wall + timedelta(days=7),
    "1M": _next_month,
}


def _made_of(edges: Sequence[datetime]) -> Resolution:
    """The coarsest stored candles none of which lies across an edge."""
    for resolution in reversed(STORED_RESOLUTIONS):
        if all(floor_to(edge, WIDTHS[resolution]) == edge for edge in edges):
            return resolution
    return "1m"


def _too_many(resolution: ReadResolution, span: timedelta) -> str:
    fitting = [wider for wider in READ_RESOLUTIONS if span / WIDTHS[wider] <= MAX_CANDLES]
    return (
        f"{span / timedelta(days=1):,.0f} days have {span / WIDTHS[resolution]:,.0f} candles of {resolution}, more than"
        f" {MAX_CANDLES:,} at once. Ask for a shorter range, or for {fitting[0]} or coarser."
    )


def _similar_zones(name: str) -> list[str]:
    known = sorted(available_timezones())
    wanted = name.lower().replace(" ", "_")
    within = [zone for zone in known if wanted and wanted in zone.lower().split("/")]
    return (within or difflib.get_close_matches(name, known, n=2))[:2]
