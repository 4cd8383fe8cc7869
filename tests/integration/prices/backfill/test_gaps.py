"""Gaps follow from the minutes that are stored: found once, grown, split by days, and gone when they are filled."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.database import transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.backfill.gaps import (
    FindResult,
    RangeToCheck,
    find_gaps,
    instrument_gaps,
    resolve_gaps,
    retry_gaps,
)
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange
from tests.conftest import Database
from tests.support.settings import EXCHANGES, exchange, make_settings

TODAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
IDS = """
  SELECT e.code || ':' || i.base, i.id FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
"""

STEPS = st.lists(
    st.tuples(st.sampled_from(["store", "store", "lose", "look", "ask"]), st.integers(0, 110), st.integers(1, 20)),
    min_size=3,
    max_size=12,
)

Row = tuple[str, str, str]


def clock(text: str) -> datetime:
    """``02 11:30`` of March 2026."""
    return datetime.strptime(f"2026-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


@pytest.fixture
def ids(catalog: sa.Engine) -> dict[str, int]:
    """Instruments by exchange:base."""
    with transaction(catalog) as connection:
        return {row[0]: row[1] for row in connection.execute(sa.text(IDS))}


def store_minutes(engine: sa.Engine, instrument_id: int, first: str, last: str, every: int = 3) -> None:
    """A candle every so many minutes from ``first`` on, and one at ``last``."""
    moments = [clock(first)]
    while moments[-1] < clock(last):
        moments.append(min(moments[-1] + timedelta(minutes=every), clock(last)))
    store_candles(engine, "1m", [StoredCandle(instrument_id, Candle(moment, 1, 1, 1, 1)) for moment in moments])


def remove_minutes(engine: sa.Engine, first: str, last: str) -> None:
    with transaction(engine) as connection:
        condition = {"first": clock(first), "last": clock(last)}
        connection.execute(sa.text("DELETE FROM candles WHERE opened_at BETWEEN :first AND :last"), condition)


def rows(engine: sa.Engine, instrument_id: int) -> list[Row]:
    """Start, end and status with its reason, oldest first."""
    query = "SELECT started_at, ended_at, status, reason FROM gaps WHERE instrument_id = :id ORDER BY started_at"
    with transaction(engine) as connection:
        found = connection.execute(sa.text(query), {"id": instrument_id}).all()
    return [
        (f"{row.started_at:%d %H:%M}", f"{row.ended_at:%d %H:%M}", f"{row.status} {row.reason or ''}".strip())
        for row in found
    ]


def look(engine: sa.Engine, settings: Settings, now: datetime = NOON, first: date = TODAY) -> FindResult:
    return find_gaps(engine, settings, first, now.date(), now)


def test_a_stretch_longer_than_three_cycles_is_a_gap_and_a_shorter_one_is_none(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 09:00", "02 10:00")
    store_minutes(catalog, btc, "02 10:10", "02 11:00")  # nine minutes without: as much as three cycles
    store_minutes(catalog, btc, "02 11:11", "02 12:00")
    assert look(catalog, settings) == FindResult(1, 0, 1)
    assert rows(catalog, btc) == [("02 11:01", "02 11:11", "open")]
    assert look(catalog, settings) == FindResult(0, 0, 1), "looking again finds nothing new"


def test_the_cadence_is_the_exchanges_own_where_that_is_slower(engine: sa.Engine, ids: dict[str, int]) -> None:
    slow = make_settings(
        exchanges=EXCHANGES
        | {"kraken": exchange("Kraken", minimum_interval_seconds=600, base_url="http://127.0.0.1:1")}
    )
    for name in ("kraken:BTC", "coinbase:BTC"):
        store_minutes(engine, ids[name], "02 09:00", "02 12:00", every=20)
    look(engine, slow)
    assert rows(engine, ids["kraken:BTC"]) == []
    assert len(rows(engine, ids["coinbase:BTC"])) == 9


def test_before_its_first_candle_and_without_any_an_instrument_has_no_gap(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    store_minutes(catalog, ids["kraken:BTC"], "02 11:00", "02 12:00")
    assert look(catalog, settings, first=TODAY - timedelta(days=3)) == FindResult(0, 0, 0)


def test_a_feed_that_is_dead_now_has_a_gap_that_grows_from_the_same_start(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 09:00", "02 10:00")
    assert look(catalog, settings, clock("02 10:09")) == FindResult(0, 0, 0)
    look(catalog, settings, clock("02 10:30"))
    assert rows(catalog, btc) == [("02 10:01", "02 10:21", "open")]
    look(catalog, settings, clock("02 11:30"))
    assert rows(catalog, btc) == [("02 10:01", "02 11:21", "open")]
    store_minutes(catalog, btc, "02 11:40", "02 12:00")
    look(catalog, settings)
    assert rows(catalog, btc) == [("02 10:01", "02 11:40", "open")]


def test_a_gap_over_midnight_is_a_row_for_each_day_and_whole_days_without_candles_are_gaps(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "01 22:00", "01 23:54")
    store_minutes(catalog, btc, "02 00:05", "02 12:00")
    look(catalog, settings)
    assert rows(catalog, btc) == [("01 23:55", "02 00:00", "open"), ("02 00:00", "02 00:05", "open")]
    eth = ids["kraken:ETH"]
    store_minutes(catalog, eth, "02 12:00", "02 12:30")
    store_minutes(catalog, eth, "05 08:00", "05 12:00")
    look(catalog, settings, clock("05 12:00"), first=date(2026, 3, 4))
    assert rows(catalog, eth) == [
        ("02 12:31", "03 00:00", "open"),
        ("03 00:00", "04 00:00", "open"),
        ("04 00:00", "05 00:00", "open"),
        ("05 00:00", "05 08:00", "open"),
    ], "also the days before the first one looked at, from the outage's beginning"


def test_what_candles_filled_is_repaired_and_the_rest_stays(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 06:00", "02 07:00")
    store_minutes(catalog, btc, "02 11:00", "02 12:00")
    look(catalog, settings)
    store_minutes(catalog, btc, "02 08:00", "02 09:00")
    assert look(catalog, settings, NOON + timedelta(seconds=1)).filled == 1
    parts = [("02 07:01", "02 08:00", "open"), ("02 08:00", "02 09:01", "repaired"), ("02 09:01", "02 11:00", "open")]
    assert rows(catalog, btc) == parts
    store_minutes(catalog, btc, "02 07:03", "02 07:57")
    store_minutes(catalog, btc, "02 09:03", "02 10:57")
    look(catalog, settings, NOON + timedelta(minutes=1))
    assert rows(catalog, btc) == [("02 07:01", "02 11:00", "repaired")]
    remove_minutes(catalog, "02 09:00", "02 10:00")
    look(catalog, settings)
    assert rows(catalog, btc) == [
        ("02 07:01", "02 08:58", "repaired"),
        ("02 08:58", "02 10:03", "open"),
        ("02 10:03", "02 11:00", "repaired"),
    ], "what is lost again is open again"


def test_an_open_gap_of_another_day_is_looked_at_again(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "01 06:00", "01 07:00")
    store_minutes(catalog, btc, "01 08:00", "02 12:00")
    look(catalog, settings, first=date(2026, 3, 1))
    store_minutes(catalog, btc, "01 07:01", "01 07:59")
    assert look(catalog, settings) == FindResult(0, 1, 0)
    assert rows(catalog, btc) == [("01 07:01", "01 08:00", "repaired")]


def test_what_the_exchange_has_nothing_for_stays_a_hole_with_the_reason_until_someone_asks_again(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 06:00", "02 07:00")
    look(catalog, settings, clock("02 09:00"))
    assert rows(catalog, btc) == [("02 07:01", "02 08:51", "open")]
    store_minutes(catalog, btc, "02 07:30", "02 07:40", every=1)
    asked = RangeToCheck(btc, TimeRange(clock("02 07:01"), clock("02 08:30")), timedelta(minutes=9), "nobody traded")
    assert resolve_gaps(catalog, [asked], clock("02 09:00")) == (1, 2)
    assert rows(catalog, btc) == [
        ("02 07:01", "02 07:30", "unavailable nobody traded"),
        ("02 07:30", "02 07:41", "repaired"),
        ("02 07:41", "02 08:30", "unavailable nobody traded"),
        ("02 08:30", "02 08:51", "open"),
    ], "what was not asked for yet stays open"
    for _ in range(2):
        look(catalog, settings, clock("02 10:00"))
        assert rows(catalog, btc)[2:] == [
            ("02 07:41", "02 08:30", "unavailable nobody traded"),
            ("02 08:30", "02 09:51", "open"),
        ]
    with transaction(catalog) as connection:
        found = instrument_gaps(connection, btc, clock("02 07:10"), clock("02 09:00"))
    assert [(f"{hole.started_at:%H:%M}", f"{hole.ended_at:%H:%M}", hole.status) for hole in found] == [
        ("07:10", "07:30", "unavailable"),
        ("07:41", "08:30", "unavailable"),
        ("08:30", "09:00", "open"),
    ]
    assert retry_gaps(catalog, since=clock("02 00:00"), exchange="kraken", coin="btc") == 2
    look(catalog, settings, clock("02 10:00"))
    assert rows(catalog, btc)[2:] == [("02 07:41", "02 09:51", "open")]


def test_gaps_of_the_index_are_marked_as_they_are_found_and_grow_as_one(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    index = ids["index:BTC"]
    store_minutes(catalog, index, "01 23:00", "01 23:30")
    for hours in (1, 2):
        look(catalog, settings, clock(f"02 0{hours}:09"))
    reason = "unavailable the index is made of live prices and not filled afterwards"
    assert rows(catalog, index) == [("01 23:31", "02 00:00", reason), ("02 00:00", "02 02:00", reason)]
    with transaction(catalog) as connection:
        [hole] = instrument_gaps(connection, index, clock("01 00:00"), clock("03 00:00"))
    assert (hole.started_at, hole.ended_at) == (clock("01 23:31"), clock("02 02:00")), "one hole over midnight"
    assert retry_gaps(catalog, since=clock("01 00:00")) == 0, "there is nobody to ask"


def test_an_instrument_that_is_switched_off_has_no_new_gaps(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    store_minutes(catalog, ids["kraken:BTC"], "02 06:00", "02 07:00")
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE exchanges SET enabled = false WHERE code = 'kraken'"))
    assert look(catalog, settings) == FindResult(0, 0, 0)


def test_looking_at_a_day_reads_that_day_and_no_other(
    catalog: sa.Engine, database: Database, settings: Settings, ids: dict[str, int]
) -> None:
    """300,000 minutes of 35 days are stored; a look at the last day may touch what that day holds, by the index."""
    fill = """
      INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, source)
      SELECT i, '1m', minute, 1, 1, 1, 1, 'exchange'
      FROM generate_series(CAST(:first AS timestamptz), :last, interval '1 minute') minute
      CROSS JOIN unnest(CAST(:ids AS integer[])) i
      WHERE minute NOT BETWEEN :hole AND CAST(:hole AS timestamptz) + interval '1 hour'
    """
    numbers = [ids[f"{code}:{base}"] for code in ("kraken", "coinbase", "binance") for base in ("BTC", "ETH")]
    with catalog.begin() as connection:
        days = {"first": NOON - timedelta(days=35), "last": NOON, "hole": clock("02 04:00"), "ids": numbers}
        assert connection.execute(sa.text(fill), days).rowcount > 300_000
    with psycopg.connect(database.url("admin"), autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE candles")
    plans = []

    def explain(connection: sa.Connection, cursor: Any, command: str, parameters: Any, *_: object) -> None:
        if "FROM candles" in command and not command.startswith("EXPLAIN"):
            cursor.execute("SAVEPOINT before_it")
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {command}", parameters)
            plans.append(cursor.fetchone()[0][0]["Plan"])
            cursor.execute("ROLLBACK TO before_it")

    sa.event.listen(catalog, "before_cursor_execute", explain)
    assert look(catalog, settings).found == 6
    assert len(plans) == 2
    scans = [node for plan in plans for node in nodes(plan) if node.get("Relation Name", "").startswith("candles")]
    scans = [node for node in scans if node["Actual Loops"]]
    assert {node["Relation Name"] for node in scans} == {"candles_1m"}
    assert {node["Node Type"] for node in scans} <= {"Index Only Scan", "Index Scan", "Bitmap Heap Scan"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) < 6 * (13 * 60 + 10)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@hypothesis_settings(max_examples=40)
@given(STEPS)
def test_whatever_was_looked_at_in_between_the_gaps_are_those_of_the_minutes_stored(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int], steps: list[tuple[str, int, int]]
) -> None:
    """Minutes count from 23:00 to 01:00 over a midnight; ``now`` is far enough behind them for all to be settled."""
    btc, first, now = ids["kraken:BTC"], clock("01 23:00"), clock("02 01:20")
    with transaction(catalog) as connection:
        for table in ("candles", "gaps"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    there: set[int] = set()
    for kind, at, length in [*steps, ("look", 0, 0)]:
        minutes = set(range(at, at + length))
        if kind == "store":
            there |= minutes
            moments = [first + timedelta(minutes=minute) for minute in sorted(minutes)]
            store_candles(catalog, "1m", [StoredCandle(btc, Candle(moment, 1, 1, 1, 1)) for moment in moments])
        elif kind == "lose":
            there -= minutes
            bounds = (first + timedelta(minutes=minute) for minute in (at, at + length - 1))
            remove_minutes(catalog, *(f"{moment:%d %H:%M}" for moment in bounds))
        elif kind == "ask":
            bounds = first + timedelta(minutes=at), first + timedelta(minutes=at + length)
            resolve_gaps(catalog, [RangeToCheck(btc, TimeRange(*bounds), timedelta(minutes=9), "nobody traded")], now)
        else:
            look(catalog, settings, now if not at else first + timedelta(minutes=at), first=date(2026, 3, 1))
    empty: set[int] = set()
    for before, after in pairwise([*sorted(there), 140]):
        if after - before - 1 > 9:
            empty |= set(range(before + 1, min(after, 131)))
    told: list[int] = []
    with transaction(catalog) as connection:
        for row in connection.execute(sa.text("SELECT * FROM gaps WHERE status <> 'repaired'")):
            assert row.started_at.date() == row.day == (row.ended_at - timedelta(minutes=1)).date()
            begins, ends = ((moment - first) // timedelta(minutes=1) for moment in (row.started_at, row.ended_at))
            told += range(begins, ends)
    assert sorted(told) == sorted(empty if there else set())
    again = look(catalog, settings, now, first=date(2026, 3, 1))
    assert (again.found, again.filled) == (0, 0)


def test_two_looks_at_once_find_every_gap_once(catalog: sa.Engine, settings: Settings, ids: dict[str, int]) -> None:
    for name in ("kraken:BTC", "coinbase:BTC", "binance:ETH"):
        store_minutes(catalog, ids[name], "01 12:00", "02 12:00", every=20)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: look(catalog, settings, first=date(2026, 3, 1)), range(3)))
    assert sorted(result.found for result in results) == [0, 0, 3 * 24 * 3]
