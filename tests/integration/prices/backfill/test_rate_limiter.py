"""The gate before calls for history: one pace for all workers, live collection first, pauses for everybody."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import RateLimited
from coinwatch.prices.backfill.rate_limiter import HistoryRateLimiter, LongRateLimit, Stopped
from coinwatch.prices.catalog import exchange_id

NOW = datetime(2026, 3, 2, 18, 0, 30, tzinfo=UTC)
Gate = Callable[..., HistoryRateLimiter]


class Time:
    """A clock that only sleeping moves; ``then`` is called once after the first sleep."""

    def __init__(self) -> None:
        self.now = NOW
        self.then: Callable[[], None] | None = None

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        then, self.then = self.then, None
        if then:
            then()

    @property
    def passed(self) -> float:
        return (self.now - NOW).total_seconds()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def gate(catalog: sa.Engine, time: Time) -> Gate:
    """``gate()``: Kraken's, of another worker each time, two calls a second."""

    def make() -> HistoryRateLimiter:
        with transaction(catalog) as connection:
            number = exchange_id(connection, "kraken")
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


def test_all_workers_together_keep_to_one_pace(gate: Gate, time: Time) -> None:
    workers = [gate(), gate(), gate()]
    moments = []
    for _ in range(3):
        for worker in workers:
            worker.acquire()
            moments.append(time.passed)
    assert moments == [number * 0.5 for number in range(9)]
    assert [worker.calls for worker in workers] == [3, 3, 3]


def test_workers_that_ask_at_once_get_a_slot_each(catalog: sa.Engine) -> None:
    """With the real clock: ten threads of two gates, fifty calls a second."""
    with transaction(catalog) as connection:
        number = exchange_id(connection, "kraken")
    assert number
    gates = [
        HistoryRateLimiter(catalog, "kraken", number, 50.0, lambda: datetime.now(UTC), threading.Event().wait)
        for _ in "ab"
    ]
    moments: list[datetime] = []
    began = datetime.now(UTC)

    def work(gate: HistoryRateLimiter) -> None:
        for _ in range(3):
            gate.acquire()
            moments.append(datetime.now(UTC))

    threads = [threading.Thread(target=work, args=(gates[number % 2],)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 30
    with transaction(catalog) as connection:
        free_at = connection.execute(sa.text("SELECT history_free_at FROM exchange_status")).scalar_one()
    assert free_at >= began + 30 * timedelta(seconds=0.02), "no two have the same slot"
    assert max(moments) >= free_at - timedelta(seconds=0.02), "and nobody goes before its own"


def test_a_rest_earns_no_burst(gate: Gate, time: Time) -> None:
    worker = gate()
    worker.acquire()
    time.now += timedelta(minutes=5)
    moments = []
    for _ in range(3):
        worker.acquire()
        moments.append(time.passed - 300)
    assert moments == [0, 0.5, 1.0]


def test_a_live_fetch_goes_first_and_the_gate_opens_when_it_is_over(gate: Gate, time: Time, catalog: sa.Engine) -> None:
    set_status(catalog, live_until=NOW + timedelta(seconds=10))
    time.then = lambda: set_status(catalog, live_until=None)
    gate().acquire()
    assert 0 < time.passed < 1


def test_a_live_fetch_that_begins_while_we_wait_for_our_slot_goes_first(
    gate: Gate, time: Time, catalog: sa.Engine
) -> None:
    worker = gate()
    worker.acquire()
    time.then = lambda: set_status(catalog, live_until=NOW + timedelta(seconds=3))
    worker.acquire()
    assert time.passed >= 3


def test_a_live_worker_that_died_holds_nobody_up_for_long(gate: Gate, time: Time, catalog: sa.Engine) -> None:
    set_status(catalog, live_until=NOW + timedelta(seconds=10))
    gate().acquire()
    assert time.passed == pytest.approx(10, abs=0.5)


def test_a_short_pause_is_waited_for_by_everybody(gate: Gate, time: Time) -> None:
    gate().record_rate_limit(RateLimited("kraken", "asks for a pause", NOW + timedelta(seconds=70)))
    gate().acquire()
    assert time.passed == 70


def test_a_long_pause_is_told_with_its_reason(gate: Gate, time: Time) -> None:
    gate().record_rate_limit(RateLimited("kraken", "Temporary lockout", NOW + timedelta(minutes=15)))
    with pytest.raises(LongRateLimit, match=r"rate limited until 2026-03-02 18:15:30 UTC .Temporary lockout") as caught:
        gate().acquire()
    assert caught.value.blocked_until == NOW + timedelta(minutes=15)
    assert time.passed == 0


def test_a_shorter_pause_does_not_shorten_a_longer_one(gate: Gate) -> None:
    for minutes in (15, 1):
        gate().record_rate_limit(RateLimited("kraken", "slow down", NOW + timedelta(minutes=minutes)))
    with pytest.raises(LongRateLimit, match="18:15:30"):
        gate().acquire()


def test_what_an_exchange_counts_by_the_minute_holds_all_workers_until_the_next(gate: Gate, time: Time) -> None:
    gate().acquire(NOW + timedelta(seconds=30))
    assert time.passed == 30
    gate().acquire()
    assert time.passed == 30.5


def test_who_is_stopped_wakes_up_and_is_not_let_through(gate: Gate, time: Time) -> None:
    worker = gate()
    worker.record_rate_limit(RateLimited("kraken", "slow down", NOW + timedelta(seconds=100)))
    time.then = worker.stop
    with pytest.raises(Stopped):
        worker.acquire()
    assert time.passed <= 1
    assert worker.calls == 0
