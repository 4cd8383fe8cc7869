"""Old prices are dropped by whole days, once they are in the candles and evaluated."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.database import create_engine, statement, transaction
from coinwatch.errors import DatabaseError
from coinwatch.exchanges.models import RejectionReason
from coinwatch.migrations import migrate
from coinwatch.pipeline import drop_old_prices
from coinwatch.prices import retention
from coinwatch.prices.candles.refresh import count_stale_ranges, refresh_candles
from coinwatch.prices.ingest.partitions import create_upcoming_partitions, ensure_partitions
from coinwatch.prices.retention import RetentionResult, merge_candle_fetches
from coinwatch.settings import Settings
from tests.conftest import Database
from tests.support.quotes import START, at, load, quote

DAY = 24 * 60
FIRST = date(2026, 3, 1)
SECOND = date(2026, 3, 2)
# 90 days after the end of the first day, but not yet of the second.
LATER = datetime(2026, 5, 31, 0, 0, tzinfo=UTC)
STALE = "INSERT INTO stale_candles (instrument_id, first_at, last_at)"


@pytest.fixture
def owner(database: Database) -> Iterator[sa.Engine]:
    engine = create_engine(database.url("owner"))
    yield engine
    engine.dispose()


def days(engine: sa.Engine) -> list[date]:
    with transaction(engine) as connection:
        return list(
            connection.execute(
                statement("prices/retention/select_partitions_before"), {"limit": date(9999, 1, 1)}
            ).scalars()
        )


def candles(engine: sa.Engine) -> list[tuple[object, ...]]:
    query = (
        "SELECT instrument_id, resolution::text, opened_at, open, high, low, close, samples FROM candles"
        " ORDER BY 1, 2, 3"
    )
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def never(_: float) -> None:
    pytest.fail("waited although nothing holds a lock")


def test_old_days_are_dropped_and_their_candles_kept(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0), quote(12, 0.5), quote(20, 1), quote(30, DAY), now=at(DAY))
    refresh_candles(catalog)
    before = candles(catalog)
    create_upcoming_partitions(catalog, LATER.date())
    early = drop_old_prices(catalog, settings, LATER - timedelta(seconds=1), sleep=never)
    assert early == RetentionResult()
    result = drop_old_prices(catalog, settings, LATER, sleep=never)
    assert result == RetentionResult((FIRST,), {})
    assert days(catalog)[0] == SECOND
    assert len(days(catalog)) == 9, "partitions created ahead are kept"
    assert candles(catalog) == before
    assert drop_old_prices(catalog, settings, LATER, sleep=never) == RetentionResult(), (
        "running it again changes nothing"
    )


def test_zero_retention_keeps_prices_forever(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0))
    forever = settings.model_copy(update={"price_retention_days": 0})
    assert drop_old_prices(catalog, forever, LATER + timedelta(days=3650)) == RetentionResult()
    assert days(catalog) == [FIRST]


def test_missing_candles_are_created_before_prices_are_dropped(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0), quote(11, 5))
    assert drop_old_prices(catalog, settings, LATER, sleep=never).dropped == (FIRST,)
    assert [row[3:] for row in candles(catalog) if row[1] == "1d"] == [(10, 11, 10, 11, 2)]


@pytest.mark.parametrize("loss", ["DELETE FROM candles", "UPDATE candles SET samples = 1 WHERE resolution = '1m'"])
def test_deleted_candle_is_recreated_before_prices_are_dropped(
    catalog: sa.Engine, settings: Settings, loss: str
) -> None:
    load(catalog, quote(10, 0), quote(12, 0.5), quote(11, 90))
    refresh_candles(catalog)
    whole = candles(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text(loss))
    assert count_stale_ranges(catalog) == 0, "the missing candle is not marked as stale"
    assert drop_old_prices(catalog, settings, LATER, sleep=never).dropped == (FIRST,)
    assert candles(catalog) == whole


def test_day_without_candles_is_kept_and_the_next_day_is_dropped(
    catalog: sa.Engine, settings: Settings, owner: sa.Engine
) -> None:
    load(catalog, quote(10, 0), quote(11, 5), quote(20, DAY), now=at(DAY))
    function = "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    trigger = (
        "CREATE TRIGGER lose BEFORE INSERT ON candles_1m FOR EACH ROW"
        " WHEN (NEW.opened_at < '2026-03-02') EXECUTE FUNCTION lose()"
    )
    with transaction(owner) as connection:
        for command in (function, trigger):
            connection.execute(sa.text(command))
    result = drop_old_prices(catalog, settings, LATER + timedelta(days=1), sleep=never)
    assert result.dropped == (SECOND,)
    [sentence] = result.sentences
    for detail in ("2026-03-01", "2 minutes", "not in candles"):
        assert detail in sentence
    with transaction(owner) as connection:
        connection.execute(sa.text("DROP TRIGGER lose ON candles_1m"))
    assert drop_old_prices(catalog, settings, LATER + timedelta(days=1), sleep=never).dropped == (FIRST,)


def test_pending_prices_are_kept(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0), quote(11, 5))
    watermark = (
        "INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to) "
        "SELECT instrument_id, 'price', :evaluated_to FROM latest_quotes"
        " ON CONFLICT (instrument_id, metric) DO UPDATE SET evaluated_to = excluded.evaluated_to"
    )
    with transaction(catalog) as connection:
        connection.execute(sa.text(watermark), {"evaluated_to": at(4)})
    kept = drop_old_prices(catalog, settings, LATER, sleep=never)
    [sentence] = kept.sentences
    for detail in ("2026-03-01", "match_alerts"):
        assert detail in sentence
    with transaction(catalog) as connection:
        connection.execute(sa.text(watermark), {"evaluated_to": at(5)})
    assert drop_old_prices(catalog, settings, LATER, sleep=never).dropped == (FIRST,)


def test_days_that_the_database_retains_are_kept_with_the_command_to_run(
    catalog: sa.Engine, settings: Settings, owner: sa.Engine
) -> None:
    load(catalog, quote(10, 0))
    migrate(owner, price_retention_days=36500)
    [sentence] = drop_old_prices(catalog, settings, LATER, sleep=never).sentences
    assert "coinwatch migrate" in sentence
    migrate(owner, price_retention_days=90)
    assert drop_old_prices(catalog, settings, LATER, sleep=never).dropped == (FIRST,)


def test_long_query_postpones_the_drop_without_blocking_others(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0))
    refresh_candles(catalog)
    waits: list[float] = []
    loaded: list[int] = []

    def load_meanwhile(seconds: float) -> None:
        """Other transactions run between the attempts."""
        waits.append(seconds)
        loaded.append(load(catalog, quote(20, DAY + len(waits)), now=at(DAY + 60)).inserted)

    with catalog.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM prices")).scalar_one()
        result = drop_old_prices(catalog, settings, LATER, sleep=load_meanwhile)
    assert "the table is in use" in result.kept[FIRST]
    assert loaded == [1] * 6
    assert sum(waits) > 60
    assert drop_old_prices(catalog, settings, LATER, sleep=never).dropped == (FIRST,)


def test_quote_loaded_while_the_drop_waits_is_included_in_candles(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0))
    refresh_candles(catalog)
    insert = (
        "INSERT INTO prices (instrument_id, observed_at, price, received_at)"
        " SELECT instrument_id, :at, 99, :at FROM latest_quotes"
    )
    stale = (
        "INSERT INTO stale_candles (instrument_id, first_at, last_at) SELECT instrument_id, :at, :at FROM latest_quotes"
    )
    loader = catalog.connect()
    loader.execute(sa.text(insert), {"at": at(3)})
    loader.execute(sa.text(stale), {"at": at(3)})

    def finish_loading(_: float) -> None:
        loader.commit()

    with loader:
        assert drop_old_prices(catalog, settings, LATER, sleep=finish_loading).dropped == (FIRST,)
    assert [row[3:] for row in candles(catalog) if row[1] == "1d"] == [(10, 99, 10, 99, 2)]


def test_loading_waits_at_most_half_a_second_for_a_drop(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0), quote(20, 2 * DAY), now=at(2 * DAY))
    refresh_candles(catalog)
    stop = threading.Event()
    slowest = [0.0]

    def keep_loading() -> None:
        minute = 0
        while not stop.is_set():
            minute += 1
            began = datetime.now(UTC)
            load(catalog, quote(20, 2 * DAY + minute), now=at(3 * DAY))
            slowest[0] = max(slowest[0], (datetime.now(UTC) - began).total_seconds())

    waits: list[float] = []
    with ThreadPoolExecutor() as pool, catalog.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM prices")).scalar_one()
        loading = pool.submit(keep_loading)
        drop_old_prices(catalog, settings, LATER, sleep=waits.append)
        stop.set()
        loading.result()
    assert len(waits) == 6
    assert 0.1 < slowest[0] < 20, "half a second plus a busy machine"


def test_concurrent_runs_drop_each_day_once(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, *(quote(10 + number, number * DAY) for number in range(6)), now=at(6 * DAY))
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(drop_old_prices, catalog, settings, LATER + timedelta(days=9)) for _ in range(2)]
        results = [run.result() for run in runs]
    assert sorted(day for result in results for day in result.dropped) == [
        FIRST + timedelta(days=number) for number in range(6)
    ]
    assert [dict(result.kept) for result in results] == [{}, {}]
    assert len([row for row in candles(catalog) if row[1] == "1d"]) == 6


def test_crashed_run_leaves_complete_days_and_the_next_run_continues(
    catalog: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(catalog, *(quote(10 + number, number * DAY) for number in range(3)), now=at(6 * DAY))
    original: Callable[[sa.Engine, date], int] = retention._minutes_behind

    def die_on_the_second(engine: sa.Engine, day: date) -> int:
        if day == SECOND:
            raise KeyboardInterrupt
        return original(engine, day)

    monkeypatch.setattr("coinwatch.prices.retention._minutes_behind", die_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        drop_old_prices(catalog, settings, LATER + timedelta(days=9))
    assert days(catalog) == [SECOND, SECOND + timedelta(days=1)]
    monkeypatch.undo()
    assert len(drop_old_prices(catalog, settings, LATER + timedelta(days=9)).dropped) == 2


def test_quote_older_than_the_retention_does_not_recreate_its_partition(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0))
    drop_old_prices(catalog, settings, LATER, sleep=never)
    assert load(catalog, quote(99, 0.5), now=LATER).rejected == {RejectionReason.TOO_OLD: 1}
    assert days(catalog) == []


def test_reimporting_part_of_a_dropped_day_changes_no_candle(catalog: sa.Engine, settings: Settings) -> None:
    load(catalog, quote(10, 0), quote(12, 0.5), quote(11, 0.7))
    drop_old_prices(catalog, settings, LATER, sleep=never)
    before = candles(catalog)
    assert load(catalog, quote(12, 0.5)).inserted == 1
    refresh_candles(catalog)
    assert candles(catalog) == before
    assert drop_old_prices(catalog, settings, LATER, sleep=never).dropped == (FIRST,)


def test_missing_candle_check_reads_only_that_day(catalog: sa.Engine) -> None:
    """It scans no other partition of prices, and reads candles through their primary key."""
    ensure_partitions(catalog, [FIRST + timedelta(days=number) for number in range(5)])
    fill = (
        "INSERT INTO prices (instrument_id, observed_at, price, received_at)"
        " SELECT id, at, 10, at"
        " FROM instruments, generate_series(CAST(:first AS timestamptz), :last, interval '3 min') at"
    )
    with transaction(catalog) as connection:
        connection.execute(sa.text(fill), {"first": START, "last": START + timedelta(days=3)})
        connection.execute(
            sa.text(
                "INSERT INTO stale_candles (instrument_id, first_at, last_at) SELECT id, :first, :last FROM instruments"
            ),
            {"first": START, "last": START + timedelta(days=3)},
        )
    refresh_candles(catalog)
    with catalog.connect() as connection:
        explain = sa.text(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + statement("prices/retention/mark_missing_candles_stale").text
        )
        bounds = {"start": datetime(2026, 3, 2, tzinfo=UTC), "end": datetime(2026, 3, 3, tzinfo=UTC)}
        plan = "\n".join(connection.execute(explain, bounds).scalars())
    assert "prices_20260302" in plan
    assert "prices_20260301" not in plan
    assert "prices_20260303" not in plan
    assert "Seq Scan on candles" not in plan
    assert "candles_1h" not in plan


def test_application_role_can_drop_a_partition_only_through_the_function(
    database: Database, catalog: sa.Engine
) -> None:
    ensure_partitions(catalog, [FIRST])
    with pytest.raises(sa.exc.ProgrammingError, match="must be owner"), catalog.begin() as connection:
        connection.execute(sa.text("DROP TABLE prices_20260301"))
    reader = create_engine(database.url("reader"))
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), reader.begin() as connection:
        connection.execute(statement("prices/retention/drop_price_partition"), {"day": FIRST})
    reader.dispose()
    with transaction(catalog) as connection:
        assert (
            connection.execute(statement("prices/retention/drop_price_partition"), {"day": FIRST}).scalar_one()
            == "dropped"
        )
        assert (
            connection.execute(statement("prices/retention/drop_price_partition"), {"day": FIRST}).scalar_one()
            == "absent"
        )


def test_unavailable_database_is_an_error(settings: Settings) -> None:
    unavailable = create_engine("postgresql://someone:hush@127.0.0.1:1/coinwatch")
    with pytest.raises(DatabaseError, match="is not available"):
        drop_old_prices(unavailable, settings, LATER)


def fetches(engine: sa.Engine) -> list[tuple[object, ...]]:
    query = (
        "SELECT instrument_id, outcome, extract(epoch FROM started_at - :start)::float8 / 60,"
        " extract(epoch FROM ended_at - :start)::float8 / 60, candles FROM candle_fetches ORDER BY 1, 2, 3, 4"
    )
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), {"start": START})]


def test_adjacent_candle_fetches_are_merged(catalog: sa.Engine) -> None:
    hours = [
        (1, 0, 60, "stored", 60),
        (1, 60, 120, "stored", 60),
        (1, 90, 180, "stored", 90),
        (1, 240, 300, "stored", 60),
        (1, 300, 360, "unavailable", 0),
        (1, 360, 420, "unavailable", 0),
        (2, 60, 120, "stored", 60),
        (2, 0, 180, "stored", 180),
        (3, 0, 60, "stored", 60),
        (3, 60, 120, "stored", 60),
        (3, 0, 30, "unavailable", 0),
        (3, 30, 120, "unavailable", 0),
    ]
    add = sa.text(
        "INSERT INTO candle_fetches (instrument_id, resolution, started_at, ended_at, outcome, candles, requested_at)"
        " VALUES (:instrument, '1m', :start, :end, :outcome, :candles, :requested_at)"
    )
    with transaction(catalog) as connection:
        for instrument, start, end, outcome, candles in hours:
            values = {"instrument": instrument, "start": at(start), "end": at(end), "outcome": outcome}
            connection.execute(add, values | {"candles": candles, "requested_at": at(1000)})
    assert merge_candle_fetches(catalog, at(1000 + 7 * DAY)) == 0, "rows of the last week are not merged"
    assert len(fetches(catalog)) == len(hours)
    assert merge_candle_fetches(catalog, at(1001 + 7 * DAY)) == 4
    merged = [
        (1, "stored", 0, 180, 210),
        (1, "stored", 240, 300, 60),
        (1, "unavailable", 300, 420, 0),
        (2, "stored", 0, 180, 240),
        (3, "stored", 0, 60, 60),
        (3, "stored", 60, 120, 60),
        (3, "unavailable", 0, 30, 0),
        (3, "unavailable", 30, 120, 0),
    ]
    assert fetches(catalog) == merged
    assert merge_candle_fetches(catalog, at(1001 + 7 * DAY)) == 0
    assert fetches(catalog) == merged
