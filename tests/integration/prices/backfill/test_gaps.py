"""Gaps are derived from the stored minutes: found once, extended, split by day, and repaired when filled."""

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
    find_new_gaps,
    instrument_gaps,
    list_gaps,
    resolve_gaps,
    retry_gaps,
)
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import INDEX, find_instrument, set_exchange_enabled
from coinwatch.settings import Settings
from coinwatch.time_range import TimeRange
from tests.conftest import Database
from tests.support.backfill import gap_rows, march, store_minutes
from tests.support.settings import EXCHANGES, exchange, make_settings

TODAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
IDS = """
  SELECT e.code || ':' || i.base, i.id FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
"""

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["store", "store", "delete", "check", "resolve"]), st.integers(0, 110), st.integers(1, 20)
    ),
    min_size=3,
    max_size=12,
)


@pytest.fixture
def ids(catalog: sa.Engine) -> dict[str, int]:
    """Instruments by exchange:base."""
    with transaction(catalog) as connection:
        return {row[0]: row[1] for row in connection.execute(sa.text(IDS))}


def delete_minutes(engine: sa.Engine, first: str, last: str) -> None:
    with transaction(engine) as connection:
        condition = {"first": march(first), "last": march(last)}
        connection.execute(sa.text("DELETE FROM candles WHERE opened_at BETWEEN :first AND :last"), condition)


def check(engine: sa.Engine, settings: Settings, now: datetime = NOON, first: date = TODAY) -> FindResult:
    return find_gaps(engine, settings, first, now.date(), now)


def test_ranges_up_to_three_cycles_are_not_gaps(catalog: sa.Engine, settings: Settings, ids: dict[str, int]) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 09:00", "02 10:00")
    store_minutes(catalog, btc, "02 10:10", "02 11:00")  # nine minutes without candles: three cycles
    store_minutes(catalog, btc, "02 11:11", "02 12:00")
    assert check(catalog, settings) == FindResult(1, 0, 1)
    assert gap_rows(catalog, btc) == [("02 11:01", "02 11:11", "open")]
    assert check(catalog, settings) == FindResult(0, 0, 1), "checking again finds nothing new"


def test_tolerance_follows_the_minimum_interval_of_a_slow_exchange(engine: sa.Engine, ids: dict[str, int]) -> None:
    slow = make_settings(
        exchanges=EXCHANGES
        | {"kraken": exchange("Kraken", minimum_interval_seconds=600, base_url="http://127.0.0.1:1")}
    )
    for name in ("kraken:BTC", "coinbase:BTC"):
        store_minutes(engine, ids[name], "02 09:00", "02 12:00", every=20)
    check(engine, slow)
    assert gap_rows(engine, ids["kraken:BTC"]) == []
    assert len(gap_rows(engine, ids["coinbase:BTC"])) == 9


def test_no_gap_is_recorded_before_the_first_candle(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    store_minutes(catalog, ids["kraken:BTC"], "02 11:00", "02 12:00")
    assert check(catalog, settings, first=TODAY - timedelta(days=3)) == FindResult(0, 0, 0)


def test_open_gap_grows_while_the_feed_is_stopped(catalog: sa.Engine, settings: Settings, ids: dict[str, int]) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 09:00", "02 10:00")
    assert check(catalog, settings, march("02 10:09")) == FindResult(0, 0, 0)
    check(catalog, settings, march("02 10:30"))
    assert gap_rows(catalog, btc) == [("02 10:01", "02 10:21", "open")]
    check(catalog, settings, march("02 11:30"))
    assert gap_rows(catalog, btc) == [("02 10:01", "02 11:21", "open")]
    store_minutes(catalog, btc, "02 11:40", "02 12:00")
    check(catalog, settings)
    assert gap_rows(catalog, btc) == [("02 10:01", "02 11:40", "open")]


def test_gap_has_a_row_for_each_utc_day(catalog: sa.Engine, settings: Settings, ids: dict[str, int]) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "01 22:00", "01 23:54")
    store_minutes(catalog, btc, "02 00:05", "02 12:00")
    check(catalog, settings)
    assert gap_rows(catalog, btc) == [("01 23:55", "02 00:00", "open"), ("02 00:00", "02 00:05", "open")]
    eth = ids["kraken:ETH"]
    store_minutes(catalog, eth, "02 12:00", "02 12:30")
    store_minutes(catalog, eth, "05 08:00", "05 12:00")
    check(catalog, settings, march("05 12:00"), first=date(2026, 3, 4))
    assert gap_rows(catalog, eth) == [
        ("02 12:31", "03 00:00", "open"),
        ("03 00:00", "04 00:00", "open"),
        ("04 00:00", "05 00:00", "open"),
        ("05 00:00", "05 08:00", "open"),
    ], "including days before the first one checked, from the start of the outage"


def test_partly_filled_gap_stays_open_for_the_remainder(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 06:00", "02 07:00")
    store_minutes(catalog, btc, "02 11:00", "02 12:00")
    check(catalog, settings)
    store_minutes(catalog, btc, "02 08:00", "02 09:00")
    assert check(catalog, settings, NOON + timedelta(seconds=1)).filled == 1
    parts = [("02 07:01", "02 08:00", "open"), ("02 08:00", "02 09:01", "repaired"), ("02 09:01", "02 11:00", "open")]
    assert gap_rows(catalog, btc) == parts
    store_minutes(catalog, btc, "02 07:03", "02 07:57")
    store_minutes(catalog, btc, "02 09:03", "02 10:57")
    check(catalog, settings, NOON + timedelta(minutes=1))
    assert gap_rows(catalog, btc) == [("02 07:01", "02 11:00", "repaired")]
    delete_minutes(catalog, "02 09:00", "02 10:00")
    check(catalog, settings)
    assert gap_rows(catalog, btc) == [
        ("02 07:01", "02 08:58", "repaired"),
        ("02 08:58", "02 10:03", "open"),
        ("02 10:03", "02 11:00", "repaired"),
    ], "candles that are deleted again are a gap again"


def test_open_gap_of_another_day_is_checked_again(catalog: sa.Engine, settings: Settings, ids: dict[str, int]) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "01 06:00", "01 07:00")
    store_minutes(catalog, btc, "01 08:00", "02 12:00")
    check(catalog, settings, first=date(2026, 3, 1))
    store_minutes(catalog, btc, "01 07:01", "01 07:59")
    assert check(catalog, settings) == FindResult(0, 1, 0)
    assert gap_rows(catalog, btc) == [("01 07:01", "01 08:00", "repaired")]


def test_gap_the_exchange_cannot_fill_is_unavailable_until_it_is_retried(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 06:00", "02 07:00")
    check(catalog, settings, march("02 09:00"))
    assert gap_rows(catalog, btc) == [("02 07:01", "02 08:51", "open")]
    store_minutes(catalog, btc, "02 07:30", "02 07:40", every=1)
    fetched = RangeToCheck(btc, TimeRange(march("02 07:01"), march("02 08:30")), timedelta(minutes=9), "no trades")
    assert resolve_gaps(catalog, [fetched], march("02 09:00")) == (1, 2)
    assert gap_rows(catalog, btc) == [
        ("02 07:01", "02 07:30", "unavailable no trades"),
        ("02 07:30", "02 07:41", "repaired"),
        ("02 07:41", "02 08:30", "unavailable no trades"),
        ("02 08:30", "02 08:51", "open"),
    ], "ranges not requested yet stay open"
    for _ in range(2):
        check(catalog, settings, march("02 10:00"))
        assert gap_rows(catalog, btc)[2:] == [
            ("02 07:41", "02 08:30", "unavailable no trades"),
            ("02 08:30", "02 09:51", "open"),
        ]
    with transaction(catalog) as connection:
        found = instrument_gaps(connection, btc, march("02 07:10"), march("02 09:00"))
    assert [(f"{gap.started_at:%H:%M}", f"{gap.ended_at:%H:%M}", gap.status) for gap in found] == [
        ("07:10", "07:30", "unavailable"),
        ("07:41", "08:30", "unavailable"),
        ("08:30", "09:00", "open"),
    ]
    assert retry_gaps(catalog, since=march("02 00:00"), exchange="kraken", coin="btc") == 2
    check(catalog, settings, march("02 10:00"))
    assert gap_rows(catalog, btc)[2:] == [("02 07:41", "02 09:51", "open")]


def test_index_gaps_are_unavailable_immediately(catalog: sa.Engine, settings: Settings, ids: dict[str, int]) -> None:
    index = ids["index:BTC"]
    store_minutes(catalog, index, "01 23:00", "01 23:30")
    for hours in (1, 2):
        check(catalog, settings, march(f"02 0{hours}:09"))
    reason = "unavailable no exchange has prices of this time"
    assert gap_rows(catalog, index) == [("01 23:31", "02 00:00", reason), ("02 00:00", "02 02:00", reason)]
    with transaction(catalog) as connection:
        [gap] = instrument_gaps(connection, index, march("01 00:00"), march("03 00:00"))
    assert (gap.started_at, gap.ended_at) == (march("01 23:31"), march("02 02:00")), "one gap across midnight"
    assert retry_gaps(catalog, since=march("01 00:00")) == 0, "the index cannot be fetched"


def test_old_gap_of_the_index_is_repaired_once_an_exchange_fills_it(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    kraken = ids["kraken:BTC"]
    with transaction(catalog) as connection:
        index = find_instrument(connection, "BTC", INDEX, "USD").instrument_id
    store_minutes(catalog, index, "01 06:00", "01 07:00", source="quotes")
    store_minutes(catalog, index, "01 10:00", "02 12:00", source="quotes")
    check(catalog, settings, first=date(2026, 3, 1))
    reason = "unavailable no exchange has prices of this time"
    assert gap_rows(catalog, index) == [("01 07:01", "01 10:00", reason)]
    later = march("09 12:00")
    store_minutes(catalog, kraken, "01 08:00", "01 08:30")
    refresh_candles(catalog)
    check(catalog, settings, later, first=later.date())
    parts = [("01 07:01", "01 08:00", reason), ("01 08:00", "01 08:31", "repaired"), ("01 08:31", "01 10:00", reason)]
    assert gap_rows(catalog, index)[:3] == parts
    assert check(catalog, settings, later, first=later.date()).filled == 0, "the rest is not checked again"
    store_minutes(catalog, kraken, "01 07:00", "01 10:00")
    refresh_candles(catalog)
    check(catalog, settings, later, first=later.date())
    assert gap_rows(catalog, index)[0] == ("01 07:01", "01 10:00", "repaired")


def test_old_unavailable_gap_is_repaired_by_imported_candles(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "01 06:00", "01 07:00")
    store_minutes(catalog, btc, "01 08:00", "02 12:00")
    check(catalog, settings, first=date(2026, 3, 1))
    fetched = RangeToCheck(btc, TimeRange(march("01 07:01"), march("01 08:00")), timedelta(minutes=9), "no trades")
    resolve_gaps(catalog, [fetched], NOON)
    assert gap_rows(catalog, btc) == [("01 07:01", "01 08:00", "unavailable no trades")]
    store_minutes(catalog, btc, "01 07:01", "01 07:30")
    check(catalog, settings, march("09 12:00"), first=date(2026, 3, 9))
    assert gap_rows(catalog, btc)[:2] == [
        ("01 07:01", "01 07:31", "repaired"),
        ("01 07:31", "01 08:00", "unavailable no trades"),
    ]


def test_disabled_exchange_has_no_new_gaps(catalog: sa.Engine, settings: Settings, ids: dict[str, int]) -> None:
    store_minutes(catalog, ids["kraken:BTC"], "02 06:00", "02 07:00")
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE exchanges SET enabled = false WHERE code = 'kraken'"))
    assert check(catalog, settings) == FindResult(0, 0, 0)


def test_checking_a_day_reads_only_that_day(
    catalog: sa.Engine, database: Database, settings: Settings, ids: dict[str, int]
) -> None:
    """With 300,000 minutes of 35 days stored, checking the last day reads only its rows, through the index."""
    fill = """
      INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, source)
      SELECT i, '1m', minute, 1, 1, 1, 1, 'exchange'
      FROM generate_series(CAST(:first AS timestamptz), :last, interval '1 minute') minute
      CROSS JOIN unnest(CAST(:ids AS integer[])) i
      WHERE minute NOT BETWEEN :gap AND CAST(:gap AS timestamptz) + interval '1 hour'
    """
    numbers = [ids[f"{code}:{base}"] for code in ("kraken", "coinbase", "binance") for base in ("BTC", "ETH")]
    with catalog.begin() as connection:
        days = {"first": NOON - timedelta(days=35), "last": NOON, "gap": march("02 04:00"), "ids": numbers}
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
    assert check(catalog, settings).found == 6
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
def test_gaps_match_stored_minutes_after_any_sequence_of_steps(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int], steps: list[tuple[str, int, int]]
) -> None:
    """Minutes are numbered from 23:00 to 01:00, across midnight; ``now`` is late enough for all to be expected."""
    btc, first, now = ids["kraken:BTC"], march("01 23:00"), march("02 01:20")
    with transaction(catalog) as connection:
        for table in ("candles", "gaps"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    stored: set[int] = set()
    for kind, at, length in [*steps, ("check", 0, 0)]:
        minutes = set(range(at, at + length))
        if kind == "store":
            stored |= minutes
            moments = [first + timedelta(minutes=minute) for minute in sorted(minutes)]
            store_candles(catalog, "1m", [StoredCandle(btc, Candle(moment, 1, 1, 1, 1)) for moment in moments])
        elif kind == "delete":
            stored -= minutes
            bounds = (first + timedelta(minutes=minute) for minute in (at, at + length - 1))
            delete_minutes(catalog, *(f"{moment:%d %H:%M}" for moment in bounds))
        elif kind == "resolve":
            bounds = first + timedelta(minutes=at), first + timedelta(minutes=at + length)
            resolve_gaps(catalog, [RangeToCheck(btc, TimeRange(*bounds), timedelta(minutes=9), "no trades")], now)
        else:
            check(catalog, settings, now if not at else first + timedelta(minutes=at), first=date(2026, 3, 1))
    missing: set[int] = set()
    for before, after in pairwise([*sorted(stored), 140]):
        if after - before - 1 > 9:
            missing |= set(range(before + 1, min(after, 131)))
    recorded: list[int] = []
    with transaction(catalog) as connection:
        for row in connection.execute(sa.text("SELECT * FROM gaps WHERE status <> 'repaired'")):
            assert row.started_at.date() == row.day == (row.ended_at - timedelta(minutes=1)).date()
            begins, ends = ((moment - first) // timedelta(minutes=1) for moment in (row.started_at, row.ended_at))
            recorded += range(begins, ends)
    assert sorted(recorded) == sorted(missing if stored else set())
    again = check(catalog, settings, now, first=date(2026, 3, 1))
    assert (again.found, again.filled) == (0, 0)


def test_concurrent_detection_records_every_gap_once(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    for name in ("kraken:BTC", "coinbase:BTC", "binance:ETH"):
        store_minutes(catalog, ids[name], "01 12:00", "02 12:00", every=20)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: check(catalog, settings, first=date(2026, 3, 1)), range(3)))
    assert sorted(result.found for result in results) == [0, 0, 3 * 24 * 3]


def test_gaps_are_found_after_a_pause_of_the_check_however_long(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc, start = ids["kraken:BTC"], datetime(2026, 3, 2, tzinfo=UTC)
    find_new_gaps(catalog, settings, start - timedelta(days=61))
    # Collection continues for two months without a check, with two outages.
    opened = [start - timedelta(minutes=5 * number) for number in range(60 * 24 * 12)]
    outages = [
        (start - timedelta(days=50, hours=3), start - timedelta(days=50)),
        (start - timedelta(days=10, hours=30), start - timedelta(days=10)),
    ]
    rows = [
        StoredCandle(btc, Candle(each, 1, 1, 1, 1), source="exchange")
        for each in opened
        if not any(first < each < last for first, last in outages)
    ]
    store_candles(catalog, "1m", rows)

    found = find_new_gaps(catalog, settings, start)

    gaps = [(row.started_at, row.ended_at) for row in list_gaps(catalog, since=start - timedelta(days=90), coin="BTC")]
    assert gaps == [
        (start - timedelta(days=11), outages[1][1]),
        (outages[1][0] + timedelta(minutes=1), start - timedelta(days=11)),
        (outages[0][0] + timedelta(minutes=1), outages[0][1]),
    ]
    assert (found.found, found.open) == (3, 3)
    assert find_new_gaps(catalog, settings, start) == FindResult(0, 0, 3)


def test_open_gap_is_extended_after_a_pause_of_the_check(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 09:00", "02 10:00")
    find_new_gaps(catalog, settings, march("02 11:00"))
    assert gap_rows(catalog, btc) == [("02 10:01", "02 10:51", "open")]
    # The outage ends at 20:00; the next check is five days later.
    store_minutes(catalog, btc, "02 20:00", "07 12:00")

    find_new_gaps(catalog, settings, march("07 12:00"))

    assert gap_rows(catalog, btc) == [("02 10:01", "02 20:00", "open")]


def test_search_of_other_days_extends_an_open_gap(catalog: sa.Engine, settings: Settings, ids: dict[str, int]) -> None:
    btc = ids["kraken:BTC"]
    store_minutes(catalog, btc, "02 09:00", "02 10:00")
    check(catalog, settings, march("02 11:00"))
    store_minutes(catalog, btc, "02 20:00", "07 12:00")

    check(catalog, settings, march("07 12:00"), first=date(2026, 3, 6))

    assert gap_rows(catalog, btc) == [("02 10:01", "02 20:00", "open")]


def test_instrument_that_was_disabled_during_a_check_is_checked_later(
    catalog: sa.Engine, settings: Settings, ids: dict[str, int]
) -> None:
    btc = ids["kraken:BTC"]
    find_new_gaps(catalog, settings, march("01 00:00"))
    store_minutes(catalog, btc, "01 00:00", "01 10:00")
    store_minutes(catalog, btc, "01 12:00", "09 12:00")
    set_exchange_enabled(catalog, "kraken", False)
    find_new_gaps(catalog, settings, march("05 00:00"))
    set_exchange_enabled(catalog, "kraken", True)

    find_new_gaps(catalog, settings, march("09 12:00"))

    assert gap_rows(catalog, btc) == [("01 10:01", "01 12:00", "open")]
