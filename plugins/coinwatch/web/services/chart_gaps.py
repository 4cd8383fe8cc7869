"""Where a chart's line breaks: stretches without prices, shown as such instead of being drawn over."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from coinwatch.prices.backfill.gaps import InstrumentGap
from coinwatch.prices.history.latest import PricePoint

SMALLEST_SEEN = 1 / 300  # of the chart's width
# Points that lie closer than this part of the width may have had others between them that were thinned away.
FARTHEST_THINNED = 1 / 50
USUAL_DISTANCES = 3
LISTED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Holes:
    """``breaks``: where no line may be drawn, oldest first. ``told``: known holes for people to read about, newest
    first, and how many ``more`` there are."""

    breaks: list[tuple[datetime, datetime]]
    told: list[InstrumentGap]
    more: int

    @property
    def as_json(self) -> str:
        """The breaks in Unix seconds, for the chart's script."""
        return json.dumps([[start.timestamp(), end.timestamp()] for start, end in self.breaks])


def find_holes(
    points: Sequence[PricePoint],
    known: Sequence[InstrumentGap],
    start: datetime,
    end: datetime,
    expected_within: timedelta,
) -> Holes:
    """Where the line over [start, end] breaks: in known holes, and where points are missing that no look found yet.

    ``expected_within`` is how long prices may stay out without that being a hole. A known hole in which there are
    points after all, from candles of hours, is told but breaks no line.
    """
    moments = [point.observed_at for point in points]
    seen = [hole for hole in known if hole.ended_at - hole.started_at >= (end - start) * SMALLEST_SEEN]
    breaks = [
        (hole.started_at, hole.ended_at)
        for hole in seen
        if not any(hole.started_at <= moment < hole.ended_at for moment in moments)
    ]
    distances = [(after - before).total_seconds() for before, after in pairwise(moments)]
    usual = timedelta(seconds=median(distances or [0.0]))
    longest = max(expected_within, (end - start) * FARTHEST_THINNED, USUAL_DISTANCES * usual)
    for before, after in pairwise(moments):
        known_there = any(first < after and last > before for first, last in breaks)
        if after - before > longest and not known_there:
            breaks.append((before, after))
    newest_first = sorted(seen, key=lambda hole: hole.started_at, reverse=True)
    return Holes(sorted(breaks), newest_first[:LISTED_AT_MOST], max(0, len(seen) - LISTED_AT_MOST))


def segments(points: Sequence[PricePoint], breaks: Sequence[tuple[datetime, datetime]]) -> list[list[PricePoint]]:
    """The points in runs between which no line may be drawn."""
    runs: list[list[PricePoint]] = []
    for point in points:
        last = runs[-1][-1].observed_at if runs else None
        if last is None or any(start < point.observed_at and end > last for start, end in breaks):
            runs.append([])
        runs[-1].append(point)
    return runs
