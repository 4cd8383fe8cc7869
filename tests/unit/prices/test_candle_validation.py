"""Which candles are valid, whatever their source and label: prices, volumes, duplicates, jumps and times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.exchanges.models import RawCandle
from coinwatch.exchanges.validation import HIGHEST_PRICE, LOWEST_PRICE
from coinwatch.prices.candle_validation import (
    DUPLICATE,
    LEVEL_CHANGE,
    NO_BASE_VOLUME,
    SPIKE,
    SWAPPED,
    WIDE_RANGE,
    WRONG_VOLUME,
    CandleValidator,
    ValidationReport,
    volumes_fit,
)
from coinwatch.prices.candles.resolutions import WIDTHS, Resolution
from coinwatch.prices.decimals import parse_decimal

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=10)
PRICES = st.floats(LOWEST_PRICE, HIGHEST_PRICE)
VOLUMES = st.floats(1e-9, 1e12)


def row(
    hour: int = 0, close: float = 100.0, volume: object = None, trades: object = None, quote_volume: object = None
) -> RawCandle:
    return RawCandle(START + timedelta(hours=hour), close, close, close, close, volume, trades, quote_volume, hour + 2)


def validate(
    *batches: list[RawCandle], resolution: Resolution = "1h", until: datetime = NOW
) -> tuple[list[tuple[object, ...]], ValidationReport]:
    """The valid candles without their time, and the report."""
    report = ValidationReport()
    validator = CandleValidator(resolution, until, report)
    return [tuple(candle[1:]) for batch in batches for candle, _ in validator.validate(batch)], report


@given(prices=st.lists(PRICES, min_size=4, max_size=4).map(sorted), trades=st.integers(0, 10**9), text=st.booleans())
def test_consistent_prices_give_a_candle(prices: list[float], trades: int, text: bool) -> None:
    low, opening, close, high = prices
    raw = [repr(price) if text else price for price in (opening, high, low, close)]
    found, report = validate([RawCandle(START, *raw, "1.5", trades)])
    assert found == [(opening, high, low, close, 1.5, trades)]
    assert not report.rejected


@pytest.mark.parametrize(
    "prices",
    [(1, 2, 3, 1), (1, 2, 0.5, 3), (0.1, 2, 0.5, 1), (1, 2, 0, 1), (None, 2, 0.5, 1), ("nan", 2, 0.5, 1), ("1_0",) * 4]
    + [(True, True, True, True), (1, "inf", 1, 1), (1, 1e16, 1, 1), (-1, -1, -1, -1)],
)
def test_invalid_prices_are_rejected(prices: tuple[object, ...]) -> None:
    found, report = validate([RawCandle(START, *prices)])
    assert found == []
    assert report.rejected.total() == report.rows == 1


@pytest.mark.parametrize("trades", [-1, 2**31, True, 1.5, "7"])
def test_invalid_number_of_trades_is_unknown(trades: object) -> None:
    assert validate([row(trades=trades)])[0] == [(100, 100, 100, 100, None, None)]


@given(base=VOLUMES, low=st.floats(1e-6, 1e6), spread=st.floats(1, 3), share=st.floats(0, 1), swapped=st.booleans())
def test_base_volume_is_found_wherever_prices_tell_it_from_quote_volume(
    base: float, low: float, spread: float, share: float, swapped: bool
) -> None:
    high = low * spread
    quote = base * (low + (high - low) * share)
    volumes = (quote, base) if swapped else (base, quote)
    found, report = validate([RawCandle(START, low, high, low, high, volumes[0], None, volumes[1])])
    if not (low <= 1.01 and high >= 0.99):  # near a price of 1, both are valid
        assert found[0][4] == base
        assert report.repaired == ({SWAPPED: 1} if swapped and low > 0 else {})


@pytest.mark.parametrize(
    ("base", "quote", "volume", "repaired"),
    [
        ("61.25", "492394.56", 61.25, {}),
        ("492394.56", "61.25", 61.25, {SWAPPED: 1}),
        ("0.01", "77.12", 0.01, {}),  # rounded: 0.0096 or more
        ("0.00", "12.30", 0.0, {}),
        ("0", "0", 0.0, {}),
        ("7.5", "492394.56", None, {WRONG_VOLUME: 1}),
        (None, "492394.56", None, {NO_BASE_VOLUME: 1}),
        ("61.25", None, 61.25, {}),
        ("61.25", "NULL", 61.25, {}),
        ("61.25", "nan", 61.25, {}),
        ("much", None, None, {WRONG_VOLUME: 1}),
        ("-1", None, None, {WRONG_VOLUME: 1}),
        ("6,125.5", "49,240,000.00", 6125.5, {}),
    ],
)
def test_volume_is_compared_with_the_prices(
    base: str | None, quote: str | None, volume: float | None, repaired: dict[str, int]
) -> None:
    found, report = validate([RawCandle(START, 8051, 8056.83, 8021.23, 8035.88, base, None, quote)])
    assert found[0][4] == volume
    assert report.repaired == repaired


def test_volumes_of_a_file_fit_unless_most_rows_contradict_them() -> None:
    right, wrong = row(volume="2", quote_volume="200"), row(volume="2", quote_volume="7")
    assert volumes_fit([])
    assert volumes_fit([row(volume="2")])
    assert volumes_fit([right, right._replace(volume="200", quote_volume="2"), wrong])
    assert not volumes_fit([right, wrong, wrong])


def test_duplicate_hours_keep_the_more_complete_row() -> None:
    complete, rounded = row(1, 101.25, "5.5", 30), row(1, 101.3, "5.5")
    for batch in ([complete, rounded], [rounded, complete]):
        found, report = validate([row(0), *batch, row(2)])
        assert found[1] == (101.25, 101.25, 101.25, 101.25, 5.5, 30)
        assert (report.repaired, report.rows) == ({DUPLICATE: 1}, 4)


def test_duplicate_with_fewer_trades_was_read_before_the_hour_ended() -> None:
    early, full = row(1, 101, "2", 20), row(1, 102, "5", 50)
    for batch in ([early, full], [full, early]):
        assert validate([row(0), *batch, row(2)])[0][1][3] == 102


@pytest.mark.parametrize("newest_first", [False, True])
def test_duplicates_in_a_later_batch_are_found(newest_first: bool) -> None:
    first, second = [row(0), row(1, 101)], [row(1, 102), row(2)]
    batches = (second[::-1], first[::-1]) if newest_first else (first, second)
    found, report = validate(*batches)
    assert report.repaired == {DUPLICATE: 1}
    assert [each[3] for each in found if each[3] != 100] == ([102] if newest_first else [101, 102]), "the last is newer"


@pytest.mark.parametrize("factor", [101, 1e6, 1 / 101, 1e-6])
@pytest.mark.parametrize("place", [0, 1, 4, 8, 9])
def test_one_price_a_hundredfold_off_is_rejected_wherever_it_is(factor: float, place: int) -> None:
    rows = [row(hour, 100 * factor if hour == place else 100) for hour in range(10)]
    for batches in ([rows], [rows[::-1]], [rows[:5], rows[5:]], [rows[5:][::-1], rows[:5][::-1]]):
        found, report = validate(*batches)
        assert [each[3] for each in found] == [100] * 9
        assert report.rejected == {SPIKE: 1}
        assert report.examples[0].startswith(f"line {place + 2} ")


def test_new_price_level_is_kept_and_counted_as_unusual() -> None:
    rows = [row(hour, 100 if hour < 10 else 100_000) for hour in range(20)]
    found, report = validate(rows)
    assert len(found) == 20
    assert report.rejected == {}
    assert report.unusual == {LEVEL_CHANGE: 1}


def test_prices_far_apart_in_time_are_not_compared() -> None:
    found, report = validate([row(0, 1), row(1, 1), row(2, 1), row(100, 500), row(200, 1)])
    assert len(found) == 5
    assert not report.rejected + report.unusual


def test_high_a_hundredfold_above_the_low_is_counted_as_unusual() -> None:
    found, report = validate([RawCandle(START, 100, 20_000, 99, 100)])
    assert len(found) == 1
    assert report.unusual == {WIDE_RANGE: 1}


@pytest.mark.parametrize("resolution", ["1m", "1h", "1d"])
def test_only_complete_candles_on_the_grid_are_valid(resolution: Resolution) -> None:
    width = WIDTHS[resolution]
    opened = [
        START,
        START + width,
        START + width / 2,
        datetime(2008, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
    ]
    rows = [row()._replace(opened_at=moment) for moment in opened]
    found, report = validate(rows, resolution=resolution, until=START + width)
    assert len(found) == 1
    assert report.rejected == {"is not complete yet": 2, "is before 2009": 2}
    _, report = validate(rows[2:3], resolution=resolution)
    assert report.rejected == {f"does not open on a {resolution} boundary": 1}


def test_examples_are_the_first_rejected_lines() -> None:
    _, report = validate([row(hour, -1) for hour in (9, 8, 7, 6, 5, 4, 3)])
    assert [example.split()[1] for example in report.examples] == ["5", "6", "7", "8", "9"]


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(1, 99), st.integers(0, 9)), max_size=60), st.integers(1, 60))
def test_every_row_is_counted_and_every_time_is_valid_once_per_batch(
    rows: list[tuple[int, float, int]], size: int
) -> None:
    raw = [row(hour, close, None, trades) for hour, close, trades in rows]
    batches = [raw[first : first + size] for first in range(0, len(raw), size)]
    report = ValidationReport()
    validator = CandleValidator("1h", NOW, report)
    for batch in batches:
        opened = [candle.opened_at for candle, _ in validator.validate(batch)]
        assert opened == sorted(set(opened))
    assert report.rows == len(rows)
    assert not report.rejected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1234.5", 1234.5),
        ("1,234.50", 1234.5),
        ("1.234,50", 1234.5),
        ("1 234,50", 1234.5),
        ("1'234.50", 1234.5),
        ("0,5", 0.5),
        ("0,500", 0.5),
        ("43217,500", 43217.5),
        ("1,234,567", 1234567),
        ("5.28E-06", 5.28e-6),
        ("5,28E-06", 5.28e-6),
        ("1,234", None),
        ("1,23,4", None),
        ("1_0", None),
        ("", None),
        (None, None),
        (True, None),
        (2, 2.0),
    ],
)
def test_decimals_are_read_in_any_spelling_unless_ambiguous(text: object, number: float | None) -> None:
    assert parse_decimal(text) == number
