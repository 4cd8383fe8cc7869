"""Candle files before validation: their rows, and parsing of trade counts and resolutions."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from coinwatch.errors import InvalidRequest
from coinwatch.exchanges.models import RawCandle
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, WIDTHS, Resolution, width_seconds
from coinwatch.time_range import floor_to

COUNT = re.compile(r"(\d{1,10})(?:\.0*)?", re.ASCII)
RESOLUTION_ALIASES: dict[str, Resolution] = {
    **dict.fromkeys(("1m", "m", "1min", "min", "minute", "minutely", "1minute"), "1m"),
    **dict.fromkeys(("1h", "h", "1hr", "hr", "hour", "hourly", "1hour", "60m", "60min"), "1h"),
    **dict.fromkeys(("1d", "d", "day", "daily", "1day", "24h"), "1d"),
}
SUPPORTED = "coinwatch stores candles of 1m, 1h and 1d; 5m, 15m, 4h, 1w and 1M are derived from them"


class BadRow(NamedTuple):
    """A row that cannot be parsed as a candle: its line, the reason, and the raw value."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class CandleFile:
    """The rows of one instrument and resolution; ``exchange``, ``symbol`` and ``resolution`` are None if unknown.

    ``is_guess``: exchange and symbol are guessed from a file name that may mean something else; ``is_label``: the
    resolution is what someone named the file, which the rows may contradict. ``futures`` is what shows that
    the rows are of Binance's futures, if something does.
    """

    format: str
    exchange: str | None
    symbol: str | None
    resolution: Resolution | None
    rows: Iterator[RawCandle | BadRow]
    is_guess: bool = False
    is_label: bool = False
    futures: str | None = None


def parse_count(text: str) -> int | None:
    """A number of trades; None if it is not a valid count."""
    match = COUNT.fullmatch(text.strip())
    return int(match[1]) if match and int(match[1]) < 2**31 else None


def parse_resolution_name(word: str, path: str) -> Resolution:
    """The resolution in a file name: 1m, 1min, 1hr, hour, d and so on. Raises InvalidRequest for others.

    1M is a month.
    """
    found = RESOLUTION_ALIASES.get(word.lower()) if word not in {"M", "1M"} else None
    if found is None:
        raise InvalidRequest("file", f"{path} contains candles of {word}; {SUPPORTED}. Import a finer file instead.")
    return found


def first_match(pattern: re.Pattern[str], names: Iterable[str]) -> re.Match[str] | None:
    """The match of the first name that matches."""
    return next(filter(None, map(pattern.fullmatch, names)), None)


def detect_resolution(stated: Resolution | None, opened: Sequence[datetime], path: str) -> Resolution:
    """The resolution of a file's rows, detected from the intervals between the first ones.

    ``stated`` is the resolution in the file name or from the user. Raises InvalidRequest if the rows contradict it
    (hours imported as minutes would be nonsense that is hard to notice later), or if the resolution is unknown.
    """
    distances = Counter(abs((after - before).total_seconds()) for before, after in pairwise(opened) if after != before)
    commonest = min(distances, key=lambda seconds: (-distances[seconds], seconds), default=0.0)
    common = math.gcd(*(int(seconds) for seconds in distances))
    if stated:
        # In a thin market, most rows of minutes may happen to be an hour apart, but not all of them.
        on_coarser_grid = any(common % width_seconds(each) == 0 for each in _coarser_resolutions(stated))
        if commonest and (on_coarser_grid or commonest < width_seconds(stated)):
            raise InvalidRequest(
                "resolution", f"{path} should contain candles of {stated}, but its rows are {commonest:g} s apart."
            )
        return stated
    found = _stored_resolution(commonest)
    if found is None or not _are_on_grid(opened, found):
        # In a thin market most rows are missing, but the others are still on the grid.
        found = _stored_resolution(common) or found
    if found is None:
        apart = f"its rows are {commonest:g} s apart" if distances else "it has only one row"
        raise InvalidRequest(
            "resolution", f"The resolution of {path} is unknown ({apart}); {SUPPORTED}. Pass it with --resolution."
        )
    return found


def _are_on_grid(opened: Sequence[datetime], resolution: Resolution) -> bool:
    """Whether most of these candles open on the grid of a resolution."""
    width = WIDTHS[resolution]
    return sum(floor_to(moment, width) == moment for moment in opened) > len(opened) / 2


def _coarser_resolutions(resolution: Resolution) -> Sequence[Resolution]:
    return STORED_RESOLUTIONS[STORED_RESOLUTIONS.index(resolution) + 1 :]


def _stored_resolution(seconds: float) -> Resolution | None:
    return next((resolution for resolution in STORED_RESOLUTIONS if width_seconds(resolution) == seconds), None)
