"""Time ranges, rounding to a grid, and operations on sets of ranges."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.time_range import (
    DAY,
    EPOCH,
    HOUR,
    MINUTE,
    TimeRange,
    ceil_to,
    find_uncovered,
    floor_to,
    merge,
    split,
    split_back,
    subtract,
    utc_day,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZONES = [UTC, timezone(timedelta(hours=5, minutes=30)), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")]
MOMENTS = st.datetimes(
    min_value=datetime(1960, 1, 1),  # noqa: DTZ001
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from(ZONES),
)
STEPS = st.sampled_from([timedelta(seconds=7), MINUTE, 5 * MINUTE, HOUR, 4 * HOUR, DAY, 7 * DAY])


def minutes(start: int, end: int) -> TimeRange:
    return TimeRange(NOON + start * MINUTE, NOON + end * MINUTE)


RANGES = st.builds(lambda start, length: minutes(start, start + length), st.integers(0, 60), st.integers(1, 20))


def covered(ranges: list[TimeRange]) -> set[int]:
    """The minutes after noon that are in one of the ranges."""
    return {minute for minute in range(-10, 100) if any(NOON + minute * MINUTE in each for each in ranges)}


def test_range_includes_its_start_but_not_its_end() -> None:
    hour = TimeRange(NOON, NOON + HOUR)

    assert NOON in hour
    assert NOON + HOUR - timedelta(microseconds=1) in hour
    assert NOON + HOUR not in hour
    assert hour.duration == HOUR


def test_empty_range_contains_nothing() -> None:
    assert NOON not in TimeRange(NOON, NOON)


@pytest.mark.parametrize(
    ("start", "end"), [(NOON, NOON - MINUTE), (NOON.replace(tzinfo=None), NOON), (NOON, NOON.replace(tzinfo=None))]
)
def test_reversed_or_naive_range_is_an_error(start: datetime, end: datetime) -> None:
    with pytest.raises(ValueError, match=r"start|aware"):
        TimeRange(start, end)


def test_utc_day_runs_from_midnight_to_midnight() -> None:
    assert utc_day(date(2026, 11, 20)) == TimeRange(NOON - 12 * HOUR, NOON + 12 * HOUR)


@given(moment=MOMENTS, step=STEPS)
def test_floor_and_ceil_are_the_nearest_multiples_of_the_step(moment: datetime, step: timedelta) -> None:
    below, above = floor_to(moment, step), ceil_to(moment, step)

    assert timedelta() <= moment.astimezone(UTC) - below < step
    assert timedelta() <= above - moment.astimezone(UTC) < step
    assert (below - EPOCH) % step == (above - EPOCH) % step == timedelta()
    assert below.tzinfo == above.tzinfo == UTC


@given(moment=MOMENTS, step=STEPS)
def test_rounding_is_idempotent(moment: datetime, step: timedelta) -> None:
    below = floor_to(moment, step)

    assert floor_to(below, step) == ceil_to(below, step) == below


def test_grid_can_start_at_another_origin() -> None:
    monday = datetime(2001, 1, 1, tzinfo=UTC)

    assert floor_to(NOON, 7 * DAY, monday) == datetime(2026, 11, 16, tzinfo=UTC)
    assert ceil_to(NOON, 7 * DAY, monday) == datetime(2026, 11, 23, tzinfo=UTC)


@given(ranges=st.lists(RANGES))
def test_merged_ranges_cover_the_same_minutes_without_touching(ranges: list[TimeRange]) -> None:
    merged = merge(ranges)

    assert covered(merged) == covered(ranges)
    assert all(before.end < after.start for before, after in pairwise(merged))


@given(whole=RANGES, removed=st.lists(RANGES))
def test_subtract_removes_exactly_the_covered_minutes(whole: TimeRange, removed: list[TimeRange]) -> None:
    left = subtract(whole, removed)

    assert covered(left) == covered([whole]) - covered(removed)
    assert all(part.start < part.end for part in left)
    assert left == sorted(left)


@given(whole=RANGES, length=st.integers(1, 30))
def test_split_ranges_are_consecutive_and_within_the_maximum_length(whole: TimeRange, length: int) -> None:
    parts = list(split(whole, length * MINUTE))

    assert parts[0].start == whole.start
    assert parts[-1].end == whole.end
    assert all(before.end == after.start for before, after in pairwise(parts))
    assert all(part.duration == length * MINUTE for part in parts[:-1])
    assert timedelta() < parts[-1].duration <= length * MINUTE


@given(whole=RANGES, length=st.integers(1, 30))
def test_split_back_starts_with_the_newest_part(whole: TimeRange, length: int) -> None:
    parts = list(split_back(whole, length * MINUTE))

    assert parts[0].end == whole.end
    assert parts[-1].start == whole.start
    assert all(after.start == before.end for after, before in pairwise(parts))
    assert all(part.duration == length * MINUTE for part in parts[:-1])
    assert timedelta() < parts[-1].duration <= length * MINUTE


def test_gaps_shorter_than_the_minimum_are_ignored() -> None:
    opened = [NOON + minute * MINUTE for minute in (0, 1, 4, 5, 8)]

    assert find_uncovered(minutes(0, 10), opened, MINUTE, MINUTE) == [minutes(2, 4), minutes(6, 8), minutes(9, 10)]
    assert find_uncovered(minutes(0, 10), opened, MINUTE, 2 * MINUTE) == [minutes(2, 4), minutes(6, 8)]
    assert find_uncovered(minutes(0, 10), [], MINUTE, 2 * MINUTE) == [minutes(0, 10)]
