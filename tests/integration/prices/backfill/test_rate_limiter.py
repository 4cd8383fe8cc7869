"""The rate limiter for history: one limit for all workers, live collection first, rate limits for everybody."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import RateLimited
from coinwatch.prices.backfill.rate_limiter import HistoryRateLimiter, LongRateLimit, Stopped
from coinwatch.prices.catalog import find_exchange_id
from tests.support.backfill import NOW, FakeTime

MakeLimiter = Callable[..., HistoryRateLimiter]


@pytest.fixture
def limiter(catalog: sa.Engine, time: FakeTime) -> MakeLimiter:
    """``limiter()``: a new worker's rate limiter for Kraken, two calls a second."""

    def make() -> HistoryRateLimiter:
        with transaction(catalog) as connection:
            number = find_exchange_id(connection, "kraken")
        assert number
        return HistoryRateLimiter(catalog, "kraken", number, 2.0, time.clock, time.sleep)

    return make


def set_status(engine: sa.Engine, **moments: datetime | None) -> None:
    columns = ", ".join(moments)
    values = ", ".join(f":{name}" for name in moments)
    changes = ", ".join(f"{name} = excluded.{name}" for name in moments)
    with transaction(engine) as connection:
        connection.execute(
            sa.text(
                f"INSERT INTO exchange_status (exchange_id, {columns}) SELECT id, {values} FROM exchanges"
                f" WHERE code = 'kraken' ON CONFLICT (exchange_id) DO UPDATE SET {changes}"
            ),
            moments,
        )


def test_all_workers_share_one_limit(limiter: MakeLimiter, time: FakeTime) -> None:
    workers = [limiter(), limiter(), limiter()]
    moments = []
    for _ in range(3):
        for worker in workers:
            worker.acquire()
            moments.append(time.passed)
    assert moments == [number * 0.5 for number in range(9)]
    assert [worker.calls for worker in workers] == [3, 3, 3]


def test_concurrent_workers_reserve_different_calls(catalog: sa.Engine) -> None:
    """With the real clock: ten threads of two rate limiters, fifty calls a second."""
    with transaction(catalog) as connection:
        number = find_exchange_id(connection, "kraken")
    assert number
    limiters = [
        HistoryRateLimiter(catalog, "kraken", number, 50.0, lambda: datetime.now(UTC), threading.Event().wait)
        for _ in "ab"
    ]
    moments: list[datetime] = []
    began = datetime.now(UTC)

    def work(limiter: HistoryRateLimiter) -> None:
        for _ in range(3):
            limiter.acquire()
            moments.append(datetime.now(UTC))

    threads = [threading.Thread(target=work, args=(limiters[number % 2],)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 30
    with transaction(catalog) as connection:
        free_at = connection.execute(sa.text("SELECT history_free_at FROM exchange_status")).scalar_one()
    assert free_at >= began + 30 * timedelta(seconds=0.02), "no two calls have the same reservation"
    assert max(moments) >= free_at - timedelta(seconds=0.02), "and no call is made before its reservation"


def test_idle_time_does_not_allow_a_burst(limiter: MakeLimiter, time: FakeTime) -> None:
    worker = limiter()
    worker.acquire()
    time.now += timedelta(minutes=5)
    moments = []
    for _ in range(3):
        worker.acquire()
        moments.append(time.passed - 300)
    assert moments == [0, 0.5, 1.0]


def test_calls_wait_for_a_live_fetch(limiter: MakeLimiter, time: FakeTime, catalog: sa.Engine) -> None:
    set_status(catalog, live_until=NOW + timedelta(seconds=10))
    time.on_sleep = lambda: set_status(catalog, live_until=None)
    limiter().acquire()
    assert 0 < time.passed < 1


def test_live_fetch_started_during_a_wait_takes_priority(
    limiter: MakeLimiter, time: FakeTime, catalog: sa.Engine
) -> None:
    worker = limiter()
    worker.acquire()
    time.on_sleep = lambda: set_status(catalog, live_until=NOW + timedelta(seconds=3))
    worker.acquire()
    assert time.passed >= 3


def test_crashed_live_worker_blocks_calls_only_until_its_deadline(
    limiter: MakeLimiter, time: FakeTime, catalog: sa.Engine
) -> None:
    set_status(catalog, live_until=NOW + timedelta(seconds=10))
    limiter().acquire()
    assert time.passed == pytest.approx(10, abs=0.5)


def test_all_workers_wait_for_a_short_rate_limit(limiter: MakeLimiter, time: FakeTime) -> None:
    limiter().record_rate_limit(RateLimited("kraken", "too many requests", NOW + timedelta(seconds=70)))
    limiter().acquire()
    assert time.passed == 70


def test_long_rate_limit_raises_with_its_reason(limiter: MakeLimiter, time: FakeTime) -> None:
    limiter().record_rate_limit(RateLimited("kraken", "Temporary lockout", NOW + timedelta(minutes=15)))
    with pytest.raises(LongRateLimit, match=r"rate limited until 2026-03-02 18:15:30 UTC .Temporary lockout") as caught:
        limiter().acquire()
    assert caught.value.blocked_until == NOW + timedelta(minutes=15)
    assert time.passed == 0


def test_shorter_rate_limit_does_not_shorten_a_longer_one(limiter: MakeLimiter) -> None:
    for minutes in (15, 1):
        limiter().record_rate_limit(RateLimited("kraken", "slow down", NOW + timedelta(minutes=minutes)))
    with pytest.raises(LongRateLimit, match="18:15:30"):
        limiter().acquire()


def test_not_before_applies_to_all_workers(limiter: MakeLimiter, time: FakeTime) -> None:
    limiter().acquire(NOW + timedelta(seconds=30))
    assert time.passed == 30
    limiter().acquire()
    assert time.passed == 30.5


def test_stopping_a_waiting_worker_cancels_its_call(limiter: MakeLimiter, time: FakeTime) -> None:
    worker = limiter()
    worker.record_rate_limit(RateLimited("kraken", "slow down", NOW + timedelta(seconds=100)))
    time.on_sleep = worker.stop
    with pytest.raises(Stopped):
        worker.acquire()
    assert time.passed <= 1
    assert worker.calls == 0
