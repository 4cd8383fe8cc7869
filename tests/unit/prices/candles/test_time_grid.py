"""The openings of local candles equal those found by converting each local time on its own."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import get_args
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from coinwatch.prices.candles.resolutions import ReadResolution
from coinwatch.prices.candles.time_grid import LOCAL_RESOLUTIONS, TimeGrid, build_time_grid

ZONES = (
    "Europe/Berlin",
    "Africa/Casablanca",  # winter time during Ramadan only
    "America/Santiago",  # midnight does not exist when the clocks change
    "America/Havana",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",  # skipped a whole day in 2011
)
STEPS = {"4h": timedelta(hours=4), "1d": timedelta(days=1), "1w": timedelta(weeks=1)}
moments = st.integers(0, 18 * 366 * 86_400).map(
    lambda seconds: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@example("Pacific/Apia", "1d", datetime(2011, 12, 5, 8, tzinfo=UTC), 60)
@given(st.sampled_from(ZONES), st.sampled_from(sorted(LOCAL_RESOLUTIONS)), moments, st.integers(0, 1200))
def test_openings_equal_those_converted_one_by_one(zone: str, resolution: str, start: datetime, days: int) -> None:
    wanted = next(name for name in get_args(ReadResolution) if name == resolution)
    end = start + timedelta(days=days)
    grid = build_time_grid(wanted, ZoneInfo(zone), start, end)
    assert openings(grid) == one_by_one(resolution, ZoneInfo(zone), start, end)


@given(st.sampled_from(ZONES), st.sampled_from(["4h", "1d", "1w", "1M"]), moments)
def test_each_candle_ends_when_the_next_one_opens(zone: str, resolution: ReadResolution, start: datetime) -> None:
    grid = build_time_grid(resolution, ZoneInfo(zone), start, start + timedelta(days=400))
    for opening, following in pairwise(openings(grid)):
        assert grid.end_of(opening) == following


def test_years_of_local_candles_are_a_few_runs() -> None:
    grid = build_time_grid(
        "4h", ZoneInfo("Europe/Berlin"), datetime(2022, 6, 1, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)
    )
    assert grid.runs is not None
    assert sum(run.length for run in grid.runs) > 9_800
    assert len(grid.runs) < 20


def openings(grid: TimeGrid) -> list[datetime]:
    assert grid.runs is not None
    return [run.start + n * grid.width for run in grid.runs for n in range(run.length)]


def one_by_one(resolution: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    local = start.astimezone(zone).replace(tzinfo=None, day=1, hour=0, minute=0, second=0, microsecond=0)
    local -= timedelta(days=local.weekday()) if resolution == "1w" else timedelta(0)
    found: list[datetime] = []
    while not found or found[-1] < end:
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        if moment >= start and (not found or moment > found[-1]):
            found.append(moment)
        local = local + STEPS[resolution] if resolution in STEPS else (local + timedelta(days=32)).replace(day=1)
    return found
