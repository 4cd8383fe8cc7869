"""Times as people type them; InvalidRequest names the option, the value and what is wanted."""

import re
from datetime import UTC, date, datetime, timedelta

from coinwatch.errors import InvalidRequest

DURATION = re.compile(r"(\d+)\s*(m|h|d|w)")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def duration(name: str, text: str) -> timedelta:
    """30m, 24h, 7d, 4w."""
    found = DURATION.fullmatch(text.strip().lower())
    if not found:
        raise InvalidRequest(name, f"--{name} {text!r} is not a duration such as 30m, 24h, 7d or 4w.")
    return int(found[1]) * UNITS[found[2]]


def moment(name: str, text: str) -> datetime:
    """ISO 8601; UTC without a zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {text!r} is not a moment such as 2026-01-31T12:00.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def day(name: str, text: str) -> date:
    """A UTC day: 2026-01-31."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {text!r} is not a day such as 2026-01-31.") from None
