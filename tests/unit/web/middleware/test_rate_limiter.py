"""Rate limits per caller, and the limit on concurrent backtests."""

import threading

import pytest

from coinwatch.web.error_handlers import TooManyRequests
from coinwatch.web.middleware.rate_limiter import BACKTESTS, MAX_CALLERS, ConcurrencyLimit, RateLimit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_caller_waits_until_the_oldest_call_leaves_the_period() -> None:
    clock = Clock()
    limit = RateLimit("subscriptions", ((2, 60.0),), clock)
    limit.check("192.0.2.1")
    clock.now += 20
    limit.check("192.0.2.1")
    with pytest.raises(TooManyRequests, match="40 seconds") as rejected:
        limit.check("192.0.2.1")
    assert rejected.value.retry_after == 40
    limit.check("192.0.2.2")
    clock.now += 40
    limit.check("192.0.2.1")


def test_rejected_calls_do_not_extend_the_wait() -> None:
    clock = Clock()
    limit = RateLimit("subscriptions", ((1, 60.0),), clock)
    limit.check("192.0.2.1")
    for _ in range(5):
        clock.now += 10
        with pytest.raises(TooManyRequests):
            limit.check("192.0.2.1")
    clock.now += 10
    limit.check("192.0.2.1")


def test_daily_limit_applies_in_addition_to_the_minute_limit() -> None:
    clock = Clock()
    limit = RateLimit("subscriptions", ((10, 60.0), (20, 86_400.0)), clock)
    for _ in range(20):
        limit.check("192.0.2.1")
        clock.now += 30
    with pytest.raises(TooManyRequests, match="minutes"):
        limit.check("192.0.2.1")


def test_ipv6_network_counts_as_one_caller() -> None:
    limit = RateLimit("subscriptions", ((1, 60.0),), Clock())
    limit.check("2001:db8:1:2::1")
    with pytest.raises(TooManyRequests):
        limit.check("2001:db8:1:2:ffff::9")
    limit.check("2001:db8:1:3::1")


def test_number_of_remembered_callers_is_bounded() -> None:
    limit = RateLimit("backtests", BACKTESTS, Clock())
    for number in range(MAX_CALLERS + 50):
        limit.check(f"caller-{number}")
    assert len(limit._calls) == MAX_CALLERS


def test_concurrency_limit_rejects_when_full() -> None:
    limit = ConcurrencyLimit("backtests", 1, max_wait_seconds=0.01)
    with limit.acquire(), pytest.raises(TooManyRequests, match="few seconds") as rejected, limit.acquire():
        pass
    assert rejected.value.retry_after == 5
    with limit.acquire():
        pass


def test_concurrency_limit_lets_no_more_callers_wait_than_can_run() -> None:
    limit, waits = ConcurrencyLimit("queries", 1, max_wait_seconds=30), threading.Event()

    def wait() -> None:
        waits.set()
        with limit.acquire():
            pass

    with limit.acquire():
        waiting = threading.Thread(target=wait)
        waiting.start()
        waits.wait()
        while limit._admitted._value:
            threading.Event().wait(0.001)
        with pytest.raises(TooManyRequests, match="Too many queries"), limit.acquire():
            pass
    waiting.join()
