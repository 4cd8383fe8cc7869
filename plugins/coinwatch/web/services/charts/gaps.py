"""Finds the gaps in a chart: where prices are missing, the line is interrupted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from coinwatch.prices.backfill.gaps import InstrumentGap
from coinwatch.prices.history.downsampling import PricePoint

MIN_VISIBLE = 1 / 300  # of the chart's width
# Between points that are closer than this part of the width, others may have been removed by downsampling.
MAX_DOWNSAMPLED = 1 / 50
MAX_TYPICAL_INTERVALS = 3
MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class ChartGaps:
    """The gaps of a chart.

    ``breaks`` are where no line is drawn, oldest first. ``listed`` are the known gaps to list below the chart, newest
    first; ``more`` is the number of those not listed.
    """

    breaks: list[tuple[datetime, datetime]]
    listed: list[InstrumentGap]
    more: int

    @property
    def breaks_json(self) -> str:
        """The breaks in Unix seconds, for the chart's script."""
        return json.dumps([[start.timestamp(), end.timestamp()] for start, end in self.breaks])


def find_chart_gaps(
    points: Sequence[PricePoint],
    known: Sequence[InstrumentGap],
    start: datetime,
    end: datetime,
    expected_within: timedelta,
) -> ChartGaps:
    """Gaps in the line over [start, end]: known ones, and missing points that gap detection has not found yet.

    ``expected_within`` is the longest interval between prices that is not a gap. A known gap that contains points,
    because coarser candles cover it, is listed but does not interrupt the line.
    """
    moments = [point.observed_at for point in points]
    visible = [gap for gap in known if gap.ended_at - gap.started_at >= (end - start) * MIN_VISIBLE]
    breaks = [
        (gap.started_at, gap.ended_at)
        for gap in visible
        if not any(gap.started_at <= moment < gap.ended_at for moment in moments)
    ]
    intervals = [(after - before).total_seconds() for before, after in pairwise(moments)]
    typical = timedelta(seconds=median(intervals or [0.0]))
    longest = max(expected_within, (end - start) * MAX_DOWNSAMPLED, MAX_TYPICAL_INTERVALS * typical)
    for before, after in pairwise(moments):
        is_known = any(first < after and last > before for first, last in breaks)
        if after - before > longest and not is_known:
            breaks.append((before, after))
    newest_first = sorted(visible, key=lambda gap: gap.started_at, reverse=True)
    return ChartGaps(sorted(breaks), newest_first[:MAX_LISTED], max(0, len(visible) - MAX_LISTED))


def split_at_gaps(points: Sequence[PricePoint], breaks: Sequence[tuple[datetime, datetime]]) -> list[list[PricePoint]]:
    """The points, split where no line is drawn."""
    runs: list[list[PricePoint]] = []
    for point in points:
        last = runs[-1][-1].observed_at if runs else None
        if last is None or any(start < point.observed_at and end > last for start, end in breaks):
            runs.append([])
        runs[-1].append(point)
    return runs
