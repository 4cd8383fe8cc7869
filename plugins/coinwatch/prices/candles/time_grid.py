"""When the candles of a resolution open in a time zone, and which stored candles they are made of.

Minutes and hours are the same in every time zone. Candles of four hours, days, weeks (from Monday) and months follow
the local time: a day lasts 23 or 25 hours when the clocks change.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
LOCAL_RESOLUTIONS = frozenset({"4h", "1d", "1w", "1M"})


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """The candles that open in a time range: the first opens at ``start``, the last ends at ``end`` (UTC).

    ``edges`` are the start of every candle and the end of the last, or None if all are ``width`` long. ``made_of`` is
    the stored resolution the candles are aggregated from.
    """

    made_of: Resolution
    start: datetime
    end: datetime
    width: timedelta
    edges: Sequence[datetime] | None = None

    def end_of(self, opened_at: datetime) -> datetime:
        """When the candle that opens at ``opened_at`` ends."""
        return opened_at + self.width if self.edges is None else self.edges[bisect_right(self.edges, opened_at)]


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
    """Steps through the local opening times and converts each to UTC."""
    next_opening = _NEXT_OPENING[resolution]
    local = _local_opening(resolution, start.astimezone(zone).replace(tzinfo=None))
    edges: list[datetime] = []
    while not edges or edges[-1] < end:
        # A local time that occurs twice means the first occurrence; one that is skipped means the clock change.
        moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        local = next_opening(local)
        if moment >= start and (not edges or moment > edges[-1]):
            edges.append(moment)
    return TimeGrid(_made_of(edges), edges[0], edges[-1], WIDTHS[resolution], edges)


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
