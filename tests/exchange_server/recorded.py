"""Recorded 1-minute candles that an exchange returns as its own, and longer candles rolled up from them."""

import csv
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RecordedCandle:
    """``opened_at`` in Unix seconds."""

    opened_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Recording:
    """One pair's 1-minute candles, and longer ones rolled up from them; missing minutes stay missing."""

    def __init__(self, minutes: Iterable[RecordedCandle]) -> None:
        self._by_interval = {60: sorted(minutes, key=lambda candle: candle.opened_at)}

    def candles(self, first: int, last: int, interval: int) -> Sequence[RecordedCandle]:
        """The candles that opened from ``first`` to ``last`` (Unix seconds, inclusive), oldest first."""
        if interval not in self._by_interval:
            self._by_interval[interval] = roll_up(self._by_interval[60], interval)
        candles = self._by_interval[interval]
        begin = bisect_left(candles, first, key=lambda candle: candle.opened_at)
        end = bisect_right(candles, last, key=lambda candle: candle.opened_at)
        return candles[begin:end]


def roll_up(minutes: Sequence[RecordedCandle], interval: int) -> list[RecordedCandle]:
    """Candles of ``interval`` seconds from sorted 1-minute candles."""
    found = []
    for number, group in groupby(minutes, key=lambda candle: candle.opened_at // interval):
        candles = list(group)
        found.append(
            RecordedCandle(
                number * interval,
                candles[0].open,
                max(candle.high for candle in candles),
                min(candle.low for candle in candles),
                candles[-1].close,
                sum((candle.volume for candle in candles), start=0.0),
            )
        )
    return found


def read_candles(path: Path) -> list[RecordedCandle]:
    """Read a CSV of 1-minute candles with the columns timestamp (UTC), open, high, low, close, volume."""
    with path.open(newline="") as file:
        return [
            RecordedCandle(
                int(datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp()),
                *(float(row[name]) for name in ("open", "high", "low", "close", "volume")),
            )
            for row in csv.DictReader(file)
        ]
