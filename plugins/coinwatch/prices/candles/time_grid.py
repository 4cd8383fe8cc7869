"""When the candles of a resolution open in a time zone, and which stored candles they are made of.

Minutes and hours are the same in every time zone. Candles of four hours, days, weeks (from Monday) and months follow
the local time: a day lasts 23 or 25 hours when the clocks change.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.resolutions import (
    READ_RESOLUTIONS,
    STORED_RESOLUTIONS,
    WIDTHS,
    ReadResolution,
    Resolution,
)
from coinwatch.time_range import DAY, ceil_to, floor_to

MAX_CANDLES = 10_000
# The first Bitcoin block. There are no prices before it.
EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)
MONDAY = datetime(2001, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
LOCAL_RESOLUTIONS = frozenset({"4h", "1d", "1w", "1M"})


class Run(NamedTuple):
    """``length`` candles that open one width apart, the first at ``start`` (UTC)."""

    start: datetime
    length: int


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """The candles that open in a time range: the first opens at ``start``, the last ends at ``end`` (UTC).

    All are ``width`` long if ``runs`` is None. Otherwise ``runs`` are their opening times, with ``end`` as the last
    one; a new run begins where the clocks change, or with each month. ``made_of`` is the stored resolution the candles
    are aggregated from.
    """

    made_of: Resolution
    start: datetime
    end: datetime
    width: timedelta
    runs: Sequence[Run] | None = None

    def end_of(self, opened_at: datetime) -> datetime:
        """When the candle that opens at ``opened_at`` ends."""
        if self.runs is None:
            return opened_at + self.width
        following = bisect_right(self.runs, opened_at, key=lambda run: run.start)
        run = self.runs[following - 1]
        is_last = opened_at >= run.start + (run.length - 1) * self.width
        return self.runs[following].start if is_last else opened_at + self.width


def build_time_grid(resolution: ReadResolution, zone: ZoneInfo, start: datetime, end: datetime) -> TimeGrid:
    """The candles of ``resolution`` that open in ``[start, end)``, in the local time of ``zone``.

    Raises InvalidRequest, which suggests a coarser resolution, if there may be more than MAX_CANDLES.
    """
    start, end = max(start.astimezone(UTC), EARLIEST), max(end.astimezone(UTC), EARLIEST)
    width = WIDTHS[resolution]
    if (end - start) / width > MAX_CANDLES:
        raise InvalidRequest("resolution", _too_many(resolution, end - start))
    if resolution == "1M" or (zone.key != "UTC" and resolution in LOCAL_RESOLUTIONS):
        return _build_local_grid(resolution, zone, start, end)
    first, last = ceil_to(start, width, MONDAY), ceil_to(end, width, MONDAY)
    return TimeGrid(_made_of([MONDAY + width]), first, last, width)


def _build_local_grid(resolution: ReadResolution, zone: ZoneInfo, start: datetime, end: datetime) -> TimeGrid:
    width = WIDTHS[resolution]
    runs: list[Run] = []
    for first, count in _local_runs(resolution, zone, start):
        skipped = min(count, max(0, -((first - start) // width)))
        wanted = min(count, max(0, -((first - end) // width)) + 1)  # up to the first one that is not before the end
        if wanted > skipped:
            start_of_run, length = first + skipped * width, wanted - skipped
            if runs and runs[-1].start + runs[-1].length * width == start_of_run:
                runs[-1] = Run(runs[-1].start, runs[-1].length + length)
            else:
                runs.append(Run(start_of_run, length))
            if runs[-1].start + (runs[-1].length - 1) * width >= end:
                break
    last = runs[-1]
    return TimeGrid(_made_of(_samples(runs, width)), runs[0].start, last.start + (last.length - 1) * width, width, runs)


def _local_runs(resolution: ReadResolution, zone: ZoneInfo, start: datetime) -> Iterator[Run]:
    """The opening times from before ``start`` on, without end: a week at once unless the clocks change in it."""
    width, next_opening = WIDTHS[resolution], _NEXT_OPENING[resolution]
    in_a_week = 1 if resolution == "1M" else max(1, WEEK // width)
    local = _local_opening(resolution, start.astimezone(zone).replace(tzinfo=None))
    latest: datetime | None = None
    while True:
        # A local time that occurs twice means the first occurrence; one that is skipped means the clock change.
        opening = local.replace(tzinfo=zone, fold=0)
        moment, week_later = opening.astimezone(UTC), local + in_a_week * width
        if latest is not None and moment <= latest:
            local = next_opening(local)
        elif in_a_week > 1 and opening.utcoffset() == week_later.replace(tzinfo=zone).utcoffset():
            yield Run(moment, in_a_week)
            local, latest = week_later, moment + (in_a_week - 1) * width
        else:
            yield Run(moment, 1)
            local, latest = next_opening(local), moment


def _samples(runs: Sequence[Run], width: timedelta) -> list[datetime]:
    """Opening times that are aligned to coarser resolutions like all of them: the first two of each run."""
    return [run.start for run in runs] + [run.start + width for run in runs if run.length > 1]


def _local_opening(resolution: ReadResolution, local: datetime) -> datetime:
    """When the candle that contains a local time opens, in local time."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if resolution == "4h":
        return midnight + timedelta(hours=local.hour // 4 * 4)
    if resolution == "1w":
        return midnight - timedelta(days=local.weekday())
    return midnight.replace(day=1) if resolution == "1M" else midnight


def _next_month(local: datetime) -> datetime:
    return (local + timedelta(days=31)).replace(day=1)


_NEXT_OPENING: dict[ReadResolution, Callable[[datetime], datetime]] = {
    "4h": lambda local: local + timedelta(hours=4),
    "1d": lambda local: local + timedelta(days=1),
    "1w": lambda local: local + timedelta(days=7),
    "1M": _next_month,
}


def _made_of(edges: Sequence[datetime]) -> Resolution:
    """The coarsest stored resolution of which no candle crosses an edge."""
    for resolution in reversed(STORED_RESOLUTIONS):
        if all(floor_to(edge, WIDTHS[resolution]) == edge for edge in edges):
            return resolution
    return "1m"


def _too_many(resolution: ReadResolution, duration: timedelta) -> str:
    fitting = [coarser for coarser in READ_RESOLUTIONS if duration / WIDTHS[coarser] <= MAX_CANDLES]
    return (
        f"{duration / DAY:,.0f} days have {duration / WIDTHS[resolution]:,.0f} candles of {resolution}; the maximum is "
        f"{MAX_CANDLES:,}. Use a shorter range, or a resolution of {fitting[0]} or coarser."
    )
