"""What a file's rows are before the gate, and what rows tell about themselves: moments, resolution, symbol."""

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
OTHER_WORDS: dict[str, Resolution] = {"minute": "1m", "hour": "1h", "d": "1d", "day": "1d", "daily": "1d"}
KEPT = "coinwatch keeps candles of 1m, 1h and 1d; 5m, 15m, 4h, 1w and 1M are derived from them on reading"


class RawCandle(NamedTuple):
    """A candle as a file has it: prices and volume (base currency) not looked at yet, ``opened_at`` aware."""

    line: int
    opened_at: datetime
    prices: Sequence[object]
    volume: object = None
    trades: int | None = None


class BadRow(NamedTuple):
    """A row that cannot even be read as a candle: its line, the reason, and the raw value."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class CandleFile:
    """Rows of one instrument and resolution, and what the file says they are; None where it does not say."""

    format: str
    exchange: str | None
    symbol: str | None
    resolution: Resolution | None
    rows: Iterator[RawCandle | BadRow]


def unix_moment(text: str) -> datetime:
    """A Unix time in seconds, milliseconds, microseconds or nanoseconds, told apart by its size; ValueError if none.

    Exact: the digits are never read as a float. Excel's 1.6461E+12 has lost its minutes and is rejected.
    """
    match = UNIX.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r:.40} is not a Unix time")
    digits = match[1]
    # Seconds have 9 or 10 digits until 2286, and so on.
    scale = {9: 1_000_000, 10: 1_000_000, 12: 1000, 13: 1000, 15: 1, 16: 1}.get(len(digits))
    if scale:
        return EPOCH + timedelta(microseconds=int(digits) * scale)
    if len(digits) in {18, 19}:
        return EPOCH + timedelta(microseconds=int(digits) // 1000)
    raise ValueError(f"{text!r:.40} is not a Unix time")


def moment(text: str) -> datetime:
    """A Unix time or an ISO 8601 moment, UTC where it has no zone; ValueError if neither."""
    text = text.strip()
    if UNIX.fullmatch(text):
        return unix_moment(text)
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r:.40} is neither an ISO 8601 moment nor a Unix time") from None


def count(text: str) -> int | None:
    """A number of trades; None where there is none to be read."""
    match = COUNT.fullmatch(text.strip())
    return int(match[1]) if match and int(match[1]) < 2**31 else None


def resolution_named(word: str, path: str) -> Resolution:
    """The resolution a file's name or a person gives: 1m, 1h, 1d, minute, hour, d; InvalidRequest for others."""
    word = word.lower()
    for resolution in STORED_RESOLUTIONS:
        if word in {resolution, *(other for other, meant in OTHER_WORDS.items() if meant == resolution)}:
            return resolution
    raise InvalidRequest("file", f"{path} holds candles of {word}: {KEPT}. Import the finer file instead.")


def first_match(pattern: re.Pattern[str], names: Iterable[str]) -> re.Match[str] | None:
    """The first of a file's names that says something."""
    return next(filter(None, map(pattern.fullmatch, names)), None)


def resolution_of(stated: Resolution | None, opened: Sequence[datetime], path: str) -> Resolution:
    """The resolution of a file's rows, from the distances of its first ones; InvalidRequest where they say another.

    ``stated`` is what the name or a person says: an hour's file taken for minutes would be stored as nonsense that
    nobody notices later.
    """
    distances = Counter(abs((after - before).total_seconds()) for before, after in pairwise(opened) if after != before)
    commonest = min(distances, key=lambda seconds: (-distances[seconds], seconds), default=0.0)
    found = _stored_resolution(commonest)
    if stated:
        if (found and found != stated) or 0 < commonest < width_seconds(stated):
            raise InvalidRequest(
                "resolution", f"{path} should hold candles of {stated}, but its rows are {commonest:g} s apart."
            )
        return stated
    if found is None:
        # Thin markets: most rows are missing, but what is there lies on the grid.
        common = math.gcd(*(int(seconds) for seconds in distances))
        found = _stored_resolution(common)
    if found is None:
        apart = f"its rows are {commonest:g} s apart" if distances else "it has one row only"
        raise InvalidRequest("resolution", f"{path} does not say what candles it holds ({apart}): {KEPT}.")
    return found


def _stored_resolution(seconds: float) -> Resolution | None:
    return next((resolution for resolution in STORED_RESOLUTIONS if width_seconds(resolution) == seconds), None)
