"""Candle files before validation: their rows, and parsing of times, trade counts and resolutions."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, Resolution, width_seconds
from coinwatch.time_range import EPOCH

UNIX = re.compile(r"(\d{9,19})(?:\.0*)?", re.ASCII)
COUNT = re.compile(r"(\d{1,10})(?:\.0*)?", re.ASCII)
RESOLUTION_ALIASES: dict[str, Resolution] = {"minute": "1m", "hour": "1h", "d": "1d", "day": "1d", "daily": "1d"}
SUPPORTED = "coinwatch stores candles of 1m, 1h and 1d; 5m, 15m, 4h, 1w and 1M are derived from them"


class RawCandle(NamedTuple):
    """A candle as read from a file: prices and volume (base currency) are not validated; ``opened_at`` is aware."""

    line: int
    opened_at: datetime
    prices: Sequence[object]
    volume: object = None
    trades: int | None = None


class BadRow(NamedTuple):
    """A row that cannot be parsed as a candle: its line, the reason, and the raw value."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class CandleFile:
    """The rows of one instrument and resolution; ``exchange``, ``symbol`` and ``resolution`` are None if unknown."""

    format: str
    exchange: str | None
    symbol: str | None
    resolution: Resolution | None
    rows: Iterator[RawCandle | BadRow]


def parse_unix_time(text: str) -> datetime:
    """A Unix time in seconds, milliseconds, microseconds or nanoseconds, depending on the number of digits.

    The digits are never parsed as a float, so the result is exact. Excel's 1.6461E+12, which has lost its minutes, is
    rejected. Raises ValueError.
    """
    match = UNIX.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r:.40} is not a Unix time")
    digits = match[1]
    # Until 2286, seconds have 9 or 10 digits.
    scale = {9: 1_000_000, 10: 1_000_000, 12: 1000, 13: 1000, 15: 1, 16: 1}.get(len(digits))
    if scale:
        return EPOCH + timedelta(microseconds=int(digits) * scale)
    if len(digits) in {18, 19}:
        return EPOCH + timedelta(microseconds=int(digits) // 1000)
    raise ValueError(f"{text!r:.40} is not a Unix time")


def parse_time(text: str) -> datetime:
    """A Unix time or an ISO 8601 time, which is UTC if it has no offset. Raises ValueError."""
    text = text.strip()
    if UNIX.fullmatch(text):
        return parse_unix_time(text)
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r:.40} is neither an ISO 8601 time nor a Unix time") from None


def parse_count(text: str) -> int | None:
    """A number of trades; None if it is not a valid count."""
    match = COUNT.fullmatch(text.strip())
    return int(match[1]) if match and int(match[1]) < 2**31 else None


def parse_resolution_name(word: str, path: str) -> Resolution:
    """The resolution in a file name: 1m, 1h, 1d, minute, hour, d and so on. Raises InvalidRequest for others."""
    word = word.lower()
    for resolution in STORED_RESOLUTIONS:
        if word in {resolution, *(other for other, meant in RESOLUTION_ALIASES.items() if meant == resolution)}:
            return resolution
    raise InvalidRequest("file", f"{path} contains candles of {word}; {SUPPORTED}. Import a finer file instead.")


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
    found = _stored_resolution(commonest)
    if stated:
        if (found and found != stated) or 0 < commonest < width_seconds(stated):
            raise InvalidRequest(
                "resolution", f"{path} should contain candles of {stated}, but its rows are {commonest:g} s apart."
            )
        return stated
    if found is None:
        # In a thin market most rows are missing, but the others are still on the grid.
        common = math.gcd(*(int(seconds) for seconds in distances))
        found = _stored_resolution(common)
    if found is None:
        apart = f"its rows are {commonest:g} s apart" if distances else "it has only one row"
        raise InvalidRequest(
            "resolution", f"The resolution of {path} is unknown ({apart}); {SUPPORTED}. Pass it with --resolution."
        )
    return found


def _stored_resolution(seconds: float) -> Resolution | None:
    return next((resolution for resolution in STORED_RESOLUTIONS if width_seconds(resolution) == seconds), None)
