"""The parts adapters share: pace, pages, and calls one by one."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.base import Pace, complete_candles, one_by_one
from coinwatch.exchanges.models import Candle, Instrument, Quote, RejectedQuote
from coinwatch.exchanges.validation import validate_quote

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
INSTRUMENTS = [Instrument("binance", f"C{number}", "USDT", f"C{number}USDT") for number in range(20)]


class FakeTime:
    """A monotonic clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_pace_lets_a_burst_through_and_holds_the_rest_to_its_rate() -> None:
    time = FakeTime()
    pace = Pace(10, 10, time.monotonic, time.sleep)
    moments = []
    for _ in range(35):
        pace.wait()
        moments.append(round(time.now - 1000.0, 3))

    assert moments[:10] == [0.0] * 10
    assert moments[10:13] == [0.1, 0.2, 0.3]
    assert moments[-1] == pytest.approx(2.5)


def test_a_pace_forgets_no_more_than_a_burst_after_a_rest() -> None:
    time = FakeTime()
    pace = Pace(10, 3, time.monotonic, time.sleep)
    pace.wait()
    time.sleep(60)
    moments = []
    for _ in range(5):
        pace.wait()
        moments.append(round(time.now - 1060.0, 3))

    assert moments == [0.0, 0.0, 0.0, 0.1, 0.2]


@given(places=st.lists(st.integers(-5, 15), max_size=30))
def test_candles_come_out_sorted_once_each_complete_and_within_the_bounds(places: list[int]) -> None:
    start = NOW - timedelta(minutes=10)
    candles = [candle(start + timedelta(minutes=place)) for place in places]

    found = complete_candles([*candles, None], 60, start, NOW + timedelta(minutes=5), NOW)

    assert [each.opened_at for each in found] == sorted(
        {start + timedelta(minutes=place) for place in places if 0 <= place <= 9}
    )


def test_one_failing_instrument_leaves_the_others_and_is_told() -> None:
    def fetch(instrument: Instrument) -> Quote | RejectedQuote:
        if instrument is INSTRUMENTS[3]:
            raise ExchangeUnavailable("binance", "failed")
        return validate_quote(instrument, 1.0, NOW)

    batch = one_by_one(INSTRUMENTS, fetch)

    assert len(batch.quotes) == len(INSTRUMENTS) - 1
    assert isinstance(batch.error, ExchangeUnavailable)


@pytest.mark.parametrize(
    ("error", "most_calls"),
    [
        (RateLimited("binance", "pause", NOW), 2),
        (ExchangeDenied("binance", "blocked"), 2),
        (ExchangeUnavailable("binance", "down"), 4),
    ],
)
def test_an_exchange_in_trouble_is_not_asked_for_every_instrument(error: ExchangeError, most_calls: int) -> None:
    calls = []
    lock = threading.Lock()

    def fetch(instrument: Instrument) -> Quote | RejectedQuote:
        with lock:
            calls.append(instrument)
        raise error

    with pytest.raises(type(error)):
        one_by_one(INSTRUMENTS, fetch, threads=2)

    assert len(calls) <= most_calls


def test_a_wish_for_a_pause_is_told_before_other_trouble() -> None:
    errors = iter([ExchangeUnavailable("binance", "down"), RateLimited("binance", "pause", NOW)])

    def fetch(instrument: Instrument) -> Quote | RejectedQuote:
        raise next(errors)

    with pytest.raises(RateLimited):
        one_by_one(INSTRUMENTS, fetch, threads=1)


def candle(opened_at: datetime) -> Candle:
    return Candle(opened_at, 1.0, 1.0, 1.0, 1.0)
