"""Times as people type them; InvalidRequest names the option, the value and what is wanted."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.time_grid import check_moment

DURATION = re.compile(r"(\d+)\s*(m|h|d|w)")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
LONGEST = timedelta(days=36_500)


def duration(name: str, text: str) -> timedelta:
    """30m, 24h, 7d, 4w."""
    found = DURATION.fullmatch(text.strip().lower())
    if not found:
        raise InvalidRequest(name, f"--{name} {text!r} is not a duration such as 30m, 24h, 7d or 4w.")
    if int(found[1]) > LONGEST / UNITS[found[2]]:
        raise InvalidRequest(name, f"--{name} {text!r} is longer than {LONGEST.days:,} days.")
    return int(found[1]) * UNITS[found[2]]


def moment(name: str, text: str, zone: tzinfo = UTC) -> datetime:
    """ISO 8601; by the clock of ``zone`` where it names none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {text!r} is not a moment such as 2026-01-31T12:00.") from None
    aware = found if found.tzinfo else found.replace(tzinfo=zone)
    check_moment(f"--{name}", aware)
    return aware


def day(name: str, text: str) -> date:
    """A UTC day: 2026-01-31."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {text!r} is not a day such as 2026-01-31.") from None
