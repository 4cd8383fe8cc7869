"""Reading the clocks of exchanges: RFC 3339 texts and Unix numbers become aware datetimes in UTC."""

import re
from datetime import UTC, datetime, timedelta

from coinwatch.time_range import EPOCH

RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)


def parse_rfc3339(text: object) -> datetime:
    """A moment such as ``2026-11-20T06:00:00.123456789+01:00``, in UTC.

    Any number of fraction digits is read, those after the sixth are cut off; an offset is demanded because a
    time without one says nothing. ValueError for everything else.
    """
    match = RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r:.60} is not a time in RFC 3339 form")
    day, clock, fraction, offset = match.groups()
    microseconds = (fraction or "0")[:6].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{microseconds}{offset.upper()}")
        return moment.astimezone(UTC)
    except OverflowError as error:  # year 1 or 9999 moved over the edge by its offset
        raise ValueError(f"{text!r:.60} is outside the years 1 to 9999") from error


def from_unix(number: object, per_second: int = 1) -> datetime:
    """A moment counted since 1970 in seconds (or 1/``per_second``: 1000 for milliseconds); ValueError if none."""
    try:
        count: float = float(number)  # type: ignore[arg-type]
        return EPOCH + timedelta(seconds=count / per_second)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{number!r:.60} is not a Unix time") from error
