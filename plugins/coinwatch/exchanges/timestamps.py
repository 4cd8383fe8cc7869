"""Parsing exchanges' timestamps, RFC 3339 text and Unix numbers, into UTC datetimes."""

import re
from datetime import UTC, datetime, timedelta

from coinwatch.time_range import EPOCH

RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)


def parse_rfc3339(text: object) -> datetime:
    """Parse a timestamp such as ``2026-11-20T06:00:00.123456789+01:00`` into UTC.

    Accepts any number of fraction digits and truncates them to microseconds. Raises ValueError for anything else,
    including a timestamp without a UTC offset.
    """
    match = RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r:.60} is not an RFC 3339 timestamp")
    day, clock, fraction, offset = match.groups()
    microseconds = (fraction or "0")[:6].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{microseconds}{offset.upper()}")
        return moment.astimezone(UTC)
    except OverflowError as error:  # the offset moves it before year 1 or after year 9999
        raise ValueError(f"{text!r:.60} is outside the years 1 to 9999") from error


def from_unix(number: object, per_second: int = 1) -> datetime:
    """Parse a Unix timestamp in seconds (``per_second`` = 1000: milliseconds) into UTC; raises ValueError."""
    try:
        count: float = float(number)  # type: ignore[arg-type]
        return EPOCH + timedelta(seconds=count / per_second)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{number!r:.60} is not a Unix timestamp") from error
