"""Parse durations, times and days given as options. Errors name the option, the value and the expected format."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from coinwatch.errors import InvalidRequest
from coinwatch.time_range import validate_timestamp

DURATION = re.compile(r"(\d+)\s*(m|h|d|w)")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
MAX_DURATION = timedelta(days=36_500)


def parse_duration(name: str, text: str) -> timedelta:
    """A duration such as 30m, 24h, 7d or 4w, from the option --``name``. Raises InvalidRequest."""
    found = DURATION.fullmatch(text.strip().lower())
    if not found:
        raise InvalidRequest(name, f"--{name} {text!r} is not a duration such as 30m, 24h, 7d or 4w.")
    if int(found[1]) > MAX_DURATION / UNITS[found[2]]:
        raise InvalidRequest(name, f"--{name} is {text!r}; the maximum is {MAX_DURATION.days:,} days.")
    return int(found[1]) * UNITS[found[2]]


def parse_time(name: str, text: str, zone: tzinfo = UTC) -> datetime:
    """An aware datetime from ISO 8601; without an offset it is taken to be in ``zone``. Raises InvalidRequest."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {text!r} is not a time such as 2026-01-31T12:00.") from None
    aware = found if found.tzinfo else found.replace(tzinfo=zone)
    validate_timestamp(f"--{name}", aware)
    return aware


def parse_day(name: str, text: str) -> date:
    """A UTC day such as 2026-01-31. Raises InvalidRequest."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {text!r} is not a day such as 2026-01-31.") from None
