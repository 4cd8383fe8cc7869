"""How often one caller may ask, and how many at the same time."""

import pytest

from coinwatch.web.error_handlers import TooManyRequests
from coinwatch.web.middleware.rate_limiter import MAX_CALLERS, SUBSCRIPTIONS, CallLimit, Turns


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_caller_waits_until_the_oldest_call_is_old_enough() -> None:
    clock = Clock()
    limit = CallLimit("subscriptions", ((2, 60.0),), clock)
    limit.take("192.0.2.1")
    clock.now += 20
    limit.take("192.0.2.1")
    with pytest.raises(TooManyRequests, match="40 seconds") as refused:
        limit.take("192.0.2.1")
    assert refused.value.retry_after == 40
    limit.take("192.0.2.2")
    clock.now += 40
    limit.take("192.0.2.1")


def test_refused_calls_do_not_prolong_the_wait() -> None:
    clock = Clock()
    limit = CallLimit("subscriptions", ((1, 60.0),), clock)
    limit.take("192.0.2.1")
    for _ in range(5):
        clock.now += 10
        with pytest.raises(TooManyRequests):
            limit.take("192.0.2.1")
    clock.now += 10
    limit.take("192.0.2.1")


def test_the_daily_limit_holds_when_the_minutes_is_kept() -> None:
    clock = Clock()
    limit = CallLimit("subscriptions", ((10, 60.0), (20, 86_400.0)), clock)
    for _ in range(20):
        limit.take("192.0.2.1")
        clock.now += 30
    with pytest.raises(TooManyRequests, match="minutes"):
        limit.take("192.0.2.1")


def test_one_household_is_one_caller() -> None:
    limit = CallLimit("subscriptions", ((1, 60.0),), Clock())
    limit.take("2001:db8:1:2::1")
    with pytest.raises(TooManyRequests):
        limit.take("2001:db8:1:2:ffff::9")
    limit.take("2001:db8:1:3::1")


def test_memory_is_bounded() -> None:
    limit = CallLimit("subscriptions", SUBSCRIPTIONS, Clock())
    for number in range(MAX_CALLERS + 50):
        limit.take(f"caller-{number}")
    assert len(limit._calls) == MAX_CALLERS


def test_one_more_than_there_are_turns_is_asked_to_come_again() -> None:
    turns = Turns(1, patience_seconds=0.01)
    with turns.take(), pytest.raises(TooManyRequests, match="few seconds") as refused, turns.take():
        pass
    assert refused.value.retry_after == 5
    with turns.take():
        pass
