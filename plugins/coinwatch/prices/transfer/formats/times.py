"""Times in files: Unix times in any unit, ISO 8601, and the unambiguous forms that data providers write."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from coinwatch.time_range import EPOCH

UNIX = re.compile(r"(\d{9,19})(?:\.0*)?", re.ASCII)
CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?", re.ASCII)
OTHER_DATE = re.compile(r"(?:(\d{4})[./](\d{2})[./](\d{2})|(\d{2})\.(\d{2})\.(\d{4}))(.*)", re.ASCII)
HOUR_OF_DAY = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}-[AP]M")


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
    """A Unix time, or an ISO 8601 time, which is UTC if it has no offset. Raises ValueError.

    Also reads 2022/01/31 and 31.01.2022 as dates, 2019-12-02 03-PM as an hour, and UTC or GMT at the end. 01/02/2022
    may be January or February, and is rejected.
    """
    text = text.strip()
    if UNIX.fullmatch(text):
        return parse_unix_time(text)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = _parse_other(text)
    try:
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except OverflowError:
        raise _not_a_time(text) from None


def parse_first_time(fields: Sequence[str]) -> datetime:
    """The first of several columns that is a time; a date followed by a clock time are one. Raises ValueError."""
    if len(fields) > 1 and CLOCK.fullmatch(fields[1].strip()):
        clock = fields[1].strip()
        return parse_time(f"{fields[0].strip()} {clock if clock[1] != ':' else '0' + clock}")
    for field in fields[:-1]:
        try:
            return parse_time(field)
        except ValueError:  # for example 1.6461E+12
            continue
    return parse_time(fields[-1])


def _parse_other(text: str) -> datetime:
    text = re.sub(r"\s*(UTC|GMT)$", "", text, flags=re.IGNORECASE)
    try:
        if HOUR_OF_DAY.fullmatch(text):
            return datetime.strptime(text, "%Y-%m-%d %I-%p").replace(tzinfo=UTC)
        if match := OTHER_DATE.fullmatch(text):
            year, month, day, other_day, other_month, other_year, clock = match.groups()
            text = f"{year or other_year}-{month or other_month}-{day or other_day}{clock}"
        return datetime.fromisoformat(text)
    except ValueError:
        raise _not_a_time(text) from None


def _not_a_time(text: str) -> ValueError:
    return ValueError(f"{text!r:.40} is neither an ISO 8601 time nor a Unix time")
