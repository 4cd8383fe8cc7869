"""Candles at any resolution and in any time zone equal those that pandas computes from the same minutes."""

import itertools
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, cast

import pandas as pd
import pytest
import sqlalchemy as sa

from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.resolutions import READ_RESOLUTIONS
from coinwatch.prices.candles.series import CandleSeries, Origin, read_candles
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.candles.time_grid import LOCAL_RESOLUTIONS
from tests.support.quotes import at, load, quote

NOW = datetime(2026, 12, 1, tzinfo=UTC)
# Clock changes at different times, one at midnight and one by half an hour; offsets of 30 and 45 minutes.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Atlantic/Azores",
    "Africa/Cairo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
)
SEASONS = {
    "spring": (datetime(2026, 3, 26, 7, 13, tzinfo=UTC), datetime(2026, 4, 6, 19, 40, tzinfo=UTC)),
    "autumn": (datetime(2026, 10, 23, 7, 13, tzinfo=UTC), datetime(2026, 11, 2, 19, 40, tzinfo=UTC)),
}
FLOORS = {"5m": "5min", "15m": "15min", "1h": "1h", "4h": "4h", "1d": "1D"}
PERIODS = {"1w": "W-SUN", "1M": "M"}


def read(engine: sa.Engine, resolution: str, start: datetime, end: datetime, **more: Any) -> CandleSeries:
    return read_candles(engine, "BTC", "kraken", resolution=resolution, start=start, end=end, **{"now": NOW, **more})


def minutes_with_gaps(instrument: int, start: datetime, end: datetime) -> list[StoredCandle]:
    """A random walk with about every other minute, a gap of 36 hours and some of an hour, and a few unknown volumes."""
    random, price, rows = Random(start.isoformat()), 100.0, []
    gap = start + (end - start) / 2
    for number in range((end - start) // timedelta(minutes=1)):
        opened_at = start.replace(second=0) + timedelta(minutes=number)
        if random.random() < 0.5 or gap < opened_at < gap + timedelta(hours=36) or opened_at.hour == opened_at.day % 24:
            continue
        values = [price := price * (1 + random.gauss(0, 0.001)) for _ in range(4)]
        volume = None if random.random() < 0.0003 else random.random() * 10
        rows.append(
            StoredCandle(instrument, Candle(opened_at, values[0], max(values), min(values), values[3], volume, 1))
        )
    return rows


def by_pandas(rows: list[StoredCandle], resolution: str, zone: str, start: datetime, end: datetime) -> list[Candle]:
    """The expected candles: minutes grouped by local time in ``zone``, or by UTC for minutes and hours."""
    frame = pd.DataFrame([row.candle for row in rows]).set_index("opened_at").astype({"volume": "float64"})
    grid_zone = zone if resolution in {"4h", "1d", "1w", "1M"} else "UTC"
    local = cast("pd.DatetimeIndex", frame.index).tz_convert(grid_zone).tz_localize(None)
    key = local.floor(FLOORS[resolution]) if resolution in FLOORS else local.to_period(PERIODS[resolution]).start_time
    grouped = frame.groupby(key)
    made = grouped.agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    made["volume"] = grouped["volume"].sum().where(grouped["volume"].count() == grouped["open"].count())
    made.index = made.index.tz_localize(grid_zone, ambiguous=[True] * len(made), nonexistent="shift_forward")
    made = made.tz_convert("UTC")[lambda found: (found.index >= start) & (found.index < end)]
    return [
        Candle(row[0].to_pydatetime(), *row[1:5], None if pd.isna(row[5]) else row[5])
        for row in made.itertuples(name=None)
    ]


@pytest.mark.parametrize("season", SEASONS)
def test_every_resolution_in_every_zone_matches_pandas(catalog: sa.Engine, btc: int, season: str) -> None:
    start, end = SEASONS[season]
    rows = minutes_with_gaps(btc, start, end)
    store_candles(catalog, "1m", rows)
    refresh_candles(catalog)
    compared = unknown_volumes = 0
    for resolution, zone in itertools.product(READ_RESOLUTIONS[1:], ZONES):
        earlier = start - timedelta(days=40) if resolution in LOCAL_RESOLUTIONS else start
        found = read(catalog, resolution, earlier, end, timezone=zone)
        expected = by_pandas(rows, resolution, zone, earlier, end)
        assert [candle[:5] for candle in found.candles] == [candle[:5] for candle in expected], (resolution, zone)
        assert [candle.volume for candle in found.candles] == [
            None if candle.volume is None else pytest.approx(candle.volume, rel=1e-12) for candle in expected
        ], (resolution, zone)
        compared += len(expected)
        unknown_volumes += sum(candle.volume is None for candle in expected)
    assert compared > 9_000
    assert 20 < unknown_volumes < compared / 10
    assert read(catalog, "1m", start, start + timedelta(days=5)).candles == [
        row.candle._replace(trades=None) for row in rows if row.candle.opened_at < start + timedelta(days=5)
    ]


@pytest.mark.parametrize(
    ("zone", "day", "hours", "made_of"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23, "1h"),
        ("Europe/Berlin", date(2026, 10, 25), 25, "1h"),
        ("Atlantic/Azores", date(2026, 10, 25), 25, "1h"),
        ("Africa/Cairo", date(2026, 4, 24), 23, "1h"),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5, "1m"),
        ("Asia/Kolkata", date(2026, 4, 5), 24, "1m"),
        ("Europe/London", date(2026, 1, 5), 24, "1d"),
    ],
)
def test_local_days_follow_daylight_saving_time(
    catalog: sa.Engine, btc: int, zone: str, day: date, hours: float, made_of: str
) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = [
        StoredCandle(btc, Candle(midnight + timedelta(minutes=30 * number), 1, 1, 1, 1, 1.0))
        for number in range(-60, 120)
    ]
    store_candles(catalog, "1m", rows)
    refresh_candles(catalog)
    found = read(catalog, "1d", midnight - timedelta(hours=15), midnight + timedelta(hours=24), timezone=zone)
    volumes = {(candle.opened_at + timedelta(hours=12, minutes=40)).date(): candle.volume for candle in found.candles}
    whole_days = [candle for candle in found.candles if candle.volume == 2 * hours]
    assert whole_days, volumes
    assert found.made_of == made_of


def test_weeks_start_on_monday_and_months_on_the_first(catalog: sa.Engine, btc: int) -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [StoredCandle(btc, Candle(first + timedelta(days=number), 1, 1, 1, 1, 1.0)) for number in range(60)]
    store_candles(catalog, "1d", rows)
    weeks = read(catalog, "1w", first, first + timedelta(days=60)).candles
    assert [week.opened_at.weekday() for week in weeks] == [0] * 8
    assert [week.volume for week in weeks] == [7.0] * 8
    months = read(catalog, "1M", first, first + timedelta(days=60)).candles
    assert [(f"{month.opened_at:%d %b}", month.volume) for month in months] == [
        ("01 Jan", 31.0),
        ("01 Feb", 28.0),
        ("01 Mar", 1.0),
    ]


def test_incomplete_last_candle_is_marked_as_forming(catalog: sa.Engine) -> None:
    load(catalog, quote(10, 0), quote(12, 61))
    refresh_candles(catalog)
    for resolution, number in (("1m", 2), ("15m", 2), ("1h", 2), ("4h", 1), ("1d", 0)):
        whole = read(catalog, resolution, at(0), at(100), now=at(24 * 60))
        assert (len(whole.candles), whole.forming) == (number, False), resolution
        forming = read(catalog, resolution, at(0), at(100), now=at(61.5))
        assert (len(forming.candles), forming.forming) == (number, number > 0), resolution
    day = read(catalog, "1d", at(-1440), at(100), now=at(61.5), timezone="Asia/Kolkata")
    assert day.records()[0]["complete"] is False


def test_origins_are_included_on_request(catalog: sa.Engine, btc: int) -> None:
    load(catalog, quote(10, 0), quote(11, 0.5), quote(12, 7))
    store_candles(catalog, "1m", [StoredCandle(btc, Candle(at(number), 1, 1, 1, 1, 1.0, 3)) for number in (5, 6, 10)])
    refresh_candles(catalog)
    stored = read(catalog, "1m", at(0), at(15), origins=True)
    assert [candle.opened_at for candle in stored.candles] == [at(0), at(5), at(6), at(7), at(10)]
    assert stored.origins == [
        Origin("quotes", None, 2),
        Origin("exchange", 3, None),
        Origin("exchange", 3, None),
        Origin("quotes", None, 1),
        Origin("exchange", 3, None),
    ]
    derived = read(catalog, "5m", at(0), at(15), origins=True)
    assert derived.origins == [Origin("quotes", None, 2), Origin("quotes", None, 1), Origin("rollup", 3, None)]
    assert derived.records()[2] == {
        "opened_at": at(10),
        **dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0),
        "complete": True,
        "source": "rollup",
        "trades": 3,
        "samples": None,
    }
    assert read(catalog, "5m", at(0), at(15)).origins == []


def test_invalid_request_is_reported_with_its_fix(catalog: sa.Engine) -> None:
    year = timedelta(days=365)
    with pytest.raises(InvalidRequest, match=r"10,000.* 1h or coarser"):
        read(catalog, "5m", NOW - year, NOW)
    with pytest.raises(InvalidRequest, match="1m, 5m, 15m, 1h, 4h, 1d, 1w, 1M"):
        read(catalog, "2h", NOW - year, NOW)
    with pytest.raises(InvalidRequest, match="Did you mean Europe/Berlin"):
        read(catalog, "1d", NOW - year, NOW, timezone="Berlin")
    with pytest.raises(InvalidRequest, match="between 1970 and 2999"):
        read(catalog, "1M", datetime(1, 1, 1, tzinfo=UTC), NOW)
    with pytest.raises(InvalidRequest, match="must be before"):
        read(catalog, "1d", NOW, NOW)
    with pytest.raises(NotFound, match="kraken"):
        read_candles(catalog, "XMR", "kraken", resolution="1h", start=NOW - year, end=NOW, now=NOW)
    assert read(catalog, "1m", NOW + year, NOW + 2 * year).candles == [], "the future has no candles"
