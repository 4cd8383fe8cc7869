"""Time ranges, rounding to a grid, and the validation of timestamps and time zones that a user typed."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from coinwatch.errors import InvalidRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DURATION = re.compile(r"([0-9]+)\s*([sSmhHdDwW]?)")
DURATION_UNITS = {"s": timedelta(seconds=1), "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
MAX_DURATION = timedelta(days=36_500)


@dataclass(frozen=True, slots=True, order=True)
class TimeRange:
    """The time from ``start`` up to, but not including, ``end``; both are timezone-aware.

    Ranges are ordered by start, then end. Raises ValueError for a naive datetime or an end before the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"a time range needs timezone-aware datetimes, not {self.start} and {self.end}")
        if self.end < self.start:
            raise ValueError(f"the end {self.end} is before the start {self.start}")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def duration(self) -> timedelta:
        return self.end - self.start


def utc_day(day: date) -> TimeRange:
    """The range from midnight to midnight UTC."""
    start = datetime.combine(day, time(), UTC)
    return TimeRange(start, start + DAY)


def floor_to(moment: datetime, step: timedelta, origin: datetime = EPOCH) -> datetime:
    """The last multiple of ``step`` since ``origin`` that is not after ``moment``, in UTC."""
    moment = moment.astimezone(UTC)
    return moment - (moment - origin) % step


def ceil_to(moment: datetime, step: timedelta, origin: datetime = EPOCH) -> datetime:
    """The first multiple of ``step`` since ``origin`` that is not before ``moment``, in UTC."""
    moment = moment.astimezone(UTC)
    return moment + (origin - moment) % step


def merge(ranges: Iterable[TimeRange]) -> list[TimeRange]:
    """The ranges in order, with those that overlap or touch combined into one."""
    merged: list[TimeRange] = []
    for each in sorted(ranges):
        if merged and each.start <= merged[-1].end:
            merged[-1] = TimeRange(merged[-1].start, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return merged


def subtract(whole: TimeRange, removed: Iterable[TimeRange]) -> list[TimeRange]:
    """The parts of ``whole`` that are in none of the ``removed`` ranges, in order; empty parts are left out."""
    parts = []
    start = whole.start
    for each in merge(removed):
        if each.start >= whole.end:
            break
        if each.start > start:
            parts.append(TimeRange(start, each.start))
        start = max(start, each.end)
    if start < whole.end:
        parts.append(TimeRange(start, whole.end))
    return parts


def split(whole: TimeRange, length: timedelta) -> Iterator[TimeRange]:
    """Consecutive parts of ``whole``, each ``length`` long except the last, which may be shorter."""
    start = whole.start
    while start < whole.end:
        end = min(start + length, whole.end)
        yield TimeRange(start, end)
        start = end


def split_back(whole: TimeRange, length: timedelta) -> Iterator[TimeRange]:
    """Consecutive parts of ``whole``, newest first, each ``length`` long except the oldest, which may be shorter."""
    end = whole.end
    while whole.start < end:
        start = max(whole.start, end - length)
        yield TimeRange(start, end)
        end = start


def find_uncovered(
    whole: TimeRange, opened: Sequence[datetime], width: timedelta, shortest: timedelta
) -> list[TimeRange]:
    """The parts of ``whole``, at least ``shortest`` long, that no interval covers.

    The intervals start at ``opened`` and are ``width`` long each.
    """
    uncovered = subtract(whole, [TimeRange(moment, moment + width) for moment in opened])
    return [each for each in uncovered if each.duration >= shortest]


def validate_range(start: datetime, end: datetime) -> None:
    """Raises InvalidRequest unless both are valid timestamps and ``start`` is before ``end``."""
    validate_timestamp("start", start)
    validate_timestamp("end", end)
    if start >= end:
        raise InvalidRequest("start", f"start is {start.isoformat()}; it must be before end, {end.isoformat()}.")


def validate_timestamp(name: str, moment: datetime) -> None:
    """Raises InvalidRequest for the field ``name`` unless ``moment`` has a time zone and a year from 1970 to 2999."""
    if moment.tzinfo is None:
        raise InvalidRequest(name, f"{name} needs a time zone, for example 2026-01-31T12:00:00Z.")
    if not 1970 <= moment.year <= 2999:
        raise InvalidRequest(name, f"{name} is in the year {moment.year}; it must be between 1970 and 2999.")


def parse_duration(name: str, text: str) -> timedelta:
    """A duration that a user typed: 300s, 30m, 24h, 7d or 4w, or a number of seconds.

    Raises InvalidRequest for the field ``name``. Units ignore case, except that 1M is rejected: it looks like a month.
    """
    found = DURATION.fullmatch(text.strip())
    if not found:
        raise InvalidRequest(
            name, f"{name} is {text!r}; it must be a duration such as 300s, 30m, 24h, 7d or 4w, or a number of seconds."
        )
    unit = DURATION_UNITS[found[2].lower() or "s"]
    if int(found[1]) > MAX_DURATION / unit:
        raise InvalidRequest(name, f"{name} is {text!r}; the maximum is {MAX_DURATION.days:,} days.")
    return int(found[1]) * unit


def parse_time_zone(name: str) -> ZoneInfo:
    """The time zone with an IANA name such as Europe/Berlin. Raises InvalidRequest, which suggests similar names."""
    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError):
        similar = _similar_zones(name.strip())
        hint = f"Did you mean {' or '.join(similar)}?" if similar else "Use an IANA name such as UTC or Europe/Berlin."
        raise InvalidRequest("timezone", f"{name!r} is not a time zone. {hint}") from None


def _similar_zones(name: str) -> list[str]:
    known = sorted(available_timezones())
    wanted = name.lower().replace(" ", "_")
    within = [zone for zone in known if wanted and wanted in zone.lower().split("/")]
    return (within or difflib.get_close_matches(name, known, n=2))[:2]
