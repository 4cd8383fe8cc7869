"""One request per instrument from several threads, and the token bucket that limits them."""

import threading
from datetime import UTC, datetime

import pytest

from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.concurrency import TokenBucket, fetch_each
from coinwatch.exchanges.models import Instrument, Quote, RejectedQuote
from coinwatch.exchanges.validation import validate_quote

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
INSTRUMENTS = [Instrument("binance", f"C{number}", "USDT", f"C{number}USDT") for number in range(20)]


class FakeTime:
    """A monotonic clock that only ``sleep`` advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def call_times(bucket: TokenBucket, time: FakeTime, count: int) -> list[float]:
    """Seconds from now at which each of ``count`` calls is allowed."""
    start, times = time.now, []
    for _ in range(count):
        bucket.acquire()
        times.append(round(time.now - start, 3))
    return times


def test_token_bucket_allows_a_burst_then_limits_the_rate() -> None:
    time = FakeTime()

    times = call_times(TokenBucket(10, 10, time.monotonic, time.sleep), time, 35)

    assert times[:10] == [0.0] * 10
    assert times[10:13] == [0.1, 0.2, 0.3]
    assert times[-1] == pytest.approx(2.5)


def test_token_bucket_refills_to_at_most_one_burst() -> None:
    time = FakeTime()
    bucket = TokenBucket(10, 3, time.monotonic, time.sleep)
    bucket.acquire()
    time.sleep(60)

    assert call_times(bucket, time, 5) == [0.0, 0.0, 0.0, 0.1, 0.2]


def test_failing_instrument_does_not_affect_the_others() -> None:
    def fetch(instrument: Instrument) -> Quote | RejectedQuote:
        if instrument is INSTRUMENTS[3]:
            raise ExchangeUnavailable("binance", "failed")
        return validate_quote(instrument, 1.0, NOW)

    batch = fetch_each(INSTRUMENTS, fetch)

    assert len(batch.quotes) == len(INSTRUMENTS) - 1
    assert isinstance(batch.error, ExchangeUnavailable)


@pytest.mark.parametrize(
    ("error", "most_calls"),
    [
        (RateLimited("binance", "rate limited", NOW), 2),
        (ExchangeDenied("binance", "blocked"), 2),
        (ExchangeUnavailable("binance", "down"), 4),
    ],
)
def test_failing_exchange_is_not_called_for_every_instrument(error: ExchangeError, most_calls: int) -> None:
    calls = []
    lock = threading.Lock()

    def fetch(instrument: Instrument) -> Quote | RejectedQuote:
        with lock:
            calls.append(instrument)
        raise error

    with pytest.raises(type(error)):
        fetch_each(INSTRUMENTS, fetch, threads=2)

    assert len(calls) <= most_calls


def test_rate_limit_is_raised_before_other_errors() -> None:
    errors = iter([ExchangeUnavailable("binance", "down"), RateLimited("binance", "rate limited", NOW)])

    def fetch(instrument: Instrument) -> Quote | RejectedQuote:
        raise next(errors)

    with pytest.raises(RateLimited):
        fetch_each(INSTRUMENTS, fetch, threads=1)
