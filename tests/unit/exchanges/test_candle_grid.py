"""From an exchange's rows to complete candles in order."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from coinwatch.exchanges.candle_grid import complete_candles, parse_candles
from coinwatch.exchanges.models import Instrument, RawCandle
from coinwatch.time_range import TimeRange

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
INSTRUMENT = Instrument("binance", "BTC", "USDT", "BTCUSDT")


def candle(opened_at: datetime) -> RawCandle:
    return RawCandle(opened_at, 1.0, 1.0, 1.0, 1.0)


@given(offsets=st.lists(st.integers(-5, 15), max_size=30))
def test_candles_are_complete_sorted_unique_and_within_the_range(offsets: list[int]) -> None:
    start = NOW - timedelta(minutes=10)
    candles = [candle(start + timedelta(minutes=offset)) for offset in offsets]

    found = complete_candles(candles, 60, TimeRange(start, NOW + timedelta(minutes=5)), NOW)

    assert [each.opened_at for each in found] == sorted(
        {start + timedelta(minutes=offset) for offset in offsets if 0 <= offset <= 9}
    )


def test_invalid_row_does_not_affect_the_others() -> None:
    def parse(row: object) -> RawCandle:
        if row == "invalid":
            raise ValueError("not a Unix timestamp")
        return candle(NOW)

    assert parse_candles(INSTRUMENT, ["valid", "invalid", "valid"], parse) == [candle(NOW), candle(NOW)]
