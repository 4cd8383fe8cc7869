"""The history of new instruments: minutes first, newest first, then hours and days; resumable, and once only."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.prices.backfill.gaps import find_new_gaps, list_gaps
from coinwatch.prices.backfill.history import HistoryProgress, HistoryResult, backfill_history, read_history_progress
from coinwatch.prices.backfill.run import Progress
from coinwatch.prices.catalog import set_exchange_enabled, sync_catalog
from coinwatch.settings import Settings
from tests.exchange_server import ExchangeServer
from tests.support.backfill import NOW, FakeTime, candles, instrument_id
from tests.support.settings import COINS, exchange, make_settings

DAYS = 60


@pytest.fixture
def settings(exchange_server: ExchangeServer) -> Settings:
    exchanges = {
        code: exchange(
            code,
            "BTC/USD",
            base_url=exchange_server.base_url(code),
            simulated=code == "coinnews",
            history_calls_per_second=1000,
        )
        for code in ("coinnews", "kraken")
    }
    return make_settings(exchanges=exchanges, coins={"BTC": COINS["BTC"]}, history_days=DAYS)


@pytest.fixture
def demo(catalog: sa.Engine) -> sa.Engine:
    set_exchange_enabled(catalog, "kraken", False)
    return catalog


def run(engine: sa.Engine, settings: Settings, time: FakeTime) -> HistoryResult:
    return backfill_history(engine, settings, clock=time.clock, sleep=time.sleep)


def count(engine: sa.Engine, resolution: str, code: str) -> int:
    return len(candles(engine, resolution, code))


def test_first_run_fetches_minutes_hours_and_days_also_of_the_index(
    demo: sa.Engine, settings: Settings, time: FakeTime
) -> None:
    result = run(demo, settings, time)
    assert result.completed == {"coinnews": 1}
    minutes_from = (NOW - timedelta(days=30)).replace(hour=0, minute=0, second=0)
    minutes = (NOW.replace(second=0) - minutes_from) // timedelta(minutes=1)
    for code in ("coinnews", "index"):
        assert count(demo, "1m", code) == minutes
        assert candles(demo, "1m", code)[0].opened_at == minutes_from
        assert candles(demo, "1h", code)[0].opened_at == minutes_from - timedelta(days=DAYS - 30)
        assert count(demo, "1d", code) == DAYS + 1
    assert read_history_progress(demo, DAYS, time.now) == [HistoryProgress("coinnews", 1, 1, DAYS, DAYS, None)]
    assert run(demo, settings, time) == HistoryResult(), "nothing is left to do"


def test_newest_minutes_come_first_and_an_interrupted_run_continues(
    demo: sa.Engine, settings: Settings, time: FakeTime, exchange_server: ExchangeServer
) -> None:
    pages: list[Progress] = []

    def interrupt(code: str, done: Progress) -> None:
        pages.append(done)
        if len(pages) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill_history(demo, settings, clock=time.clock, sleep=time.sleep, progress=interrupt)
    assert pages[0].time_range.end > NOW - timedelta(days=7)
    [progress] = read_history_progress(demo, DAYS, time.now)
    assert (progress.complete, 0 < progress.days_fetched < DAYS) == (0, True)
    stored = count(demo, "1m", "coinnews")
    result = run(demo, settings, time)
    assert result.completed == {"coinnews": 1}
    hours = 24 * (DAYS - 30)
    assert result.candles == count(demo, "1m", "coinnews") - stored + hours, "nothing is fetched again"
    assert count(demo, "1m", "index") == count(demo, "1m", "coinnews") > 30 * 1440


def test_exchange_enabled_later_is_fetched_and_replaces_simulated_history(
    demo: sa.Engine, settings: Settings, time: FakeTime
) -> None:
    run(demo, settings, time)
    set_exchange_enabled(demo, "kraken", True)
    result = run(demo, settings, time)
    assert result.completed == {"kraken": 1}
    assert 0 < count(demo, "1m", "kraken") < 720, "Kraken keeps 12 hours of minutes"
    assert candles(demo, "1d", "kraken")[0].opened_at <= NOW - timedelta(days=DAYS)


def test_failing_exchange_does_not_affect_others_and_is_tried_again(
    catalog: sa.Engine, settings: Settings, time: FakeTime, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("kraken", "status", status=503)
    result = run(catalog, settings, time)
    assert (list(result.errors), result.completed) == (["kraken"], {"coinnews": 1})
    exchange_server.faults.clear()
    assert run(catalog, settings, time).completed == {"kraken": 1}


def test_long_rate_limit_is_left_to_the_next_run(
    catalog: sa.Engine, settings: Settings, time: FakeTime, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("kraken", "status", status=429, headers={"Retry-After": "3600"})
    result = run(catalog, settings, time)
    assert (result.waiting, result.errors) == (["kraken"], {})


def test_unknown_pair_is_reported_and_tried_again_a_day_later(
    demo: sa.Engine, settings: Settings, time: FakeTime, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("coinnews", "status", status=404)
    result = run(demo, settings, time)
    assert list(result.failed) == ["coinnews BTC/USD"]
    [progress] = read_history_progress(demo, DAYS, time.now)
    assert "unknown symbol" in str(progress.error)
    exchange_server.faults.clear()
    assert run(demo, settings, time) == HistoryResult()
    time.now += timedelta(days=1, minutes=1)
    assert run(demo, settings, time).completed == {"coinnews": 1}
    assert read_history_progress(demo, DAYS, time.now)[0].error is None


def test_instrument_that_timed_out_is_tried_again_by_the_next_run(
    demo: sa.Engine, settings: Settings, time: FakeTime, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("coinnews", "status", status=503, after=3, times=4)
    assert list(run(demo, settings, time).failed) == ["coinnews BTC/USD"]
    assert run(demo, settings, time).completed == {"coinnews": 1}


def test_no_history_is_fetched_if_it_is_switched_off(
    demo: sa.Engine, settings: Settings, time: FakeTime, exchange_server: ExchangeServer
) -> None:
    assert run(demo, settings.model_copy(update={"history_days": 0}), time) == HistoryResult()
    assert not exchange_server.requests()


def test_more_days_are_fetched_if_the_setting_is_raised(demo: sa.Engine, settings: Settings, time: FakeTime) -> None:
    run(demo, settings.model_copy(update={"history_days": 20}), time)
    assert count(demo, "1d", "index") == 21
    run(demo, settings, time)
    assert count(demo, "1d", "index") == DAYS + 1


def test_history_is_not_reported_as_gaps(demo: sa.Engine, settings: Settings, time: FakeTime) -> None:
    run(demo, settings, time)
    with transaction(demo) as connection:
        connection.execute(
            sa.text("DELETE FROM candles WHERE opened_at BETWEEN :first AND :last AND resolution = '1m'"),
            {"first": NOW - timedelta(days=9), "last": NOW - timedelta(days=8)},
        )
    find_new_gaps(demo, settings, time.now)
    assert list_gaps(demo, since=NOW - timedelta(days=31)) == []


def test_catalog_is_enough_for_the_first_run(engine: sa.Engine, settings: Settings, time: FakeTime) -> None:
    assert run(engine, settings, time) == HistoryResult(), "nothing is watched before the catalog is stored"
    sync_catalog(engine, settings)
    assert instrument_id(engine, "coinnews")
    assert "coinnews" in run(engine, settings, time).completed
