"""One text per value: prices, amounts, percentages, durations, ages and timestamps."""

import doctest
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch import formatting
from coinwatch.formatting import (
    format_age,
    format_amount,
    format_count,
    format_duration,
    format_percent,
    format_price,
    format_timestamp,
)

PRICES = st.floats(min_value=1e-12, max_value=1e24)
PLAIN_NUMBER = re.compile(r"\d{1,3}(,\d{3})*(\.\d+)?")


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_docstring_examples_are_correct() -> None:
    assert doctest.testmod(formatting).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567.0, "1,234,567.00"),
        (43215.124, "43,215.12"),
        (1000, "1,000.00"),
        (999.9999, "1,000.00"),
        (105.5, "105.50"),
        (100, "100.00"),
        (1, "1.00"),
        (0.523456789, "0.523457"),
        (0.00000123, "0.00000123"),
        (1e-9, "0.000000001"),
        (1e24, "1,000,000,000,000,000,000,000,000.00"),
        (0, "0.00"),
        (-2.5, "-2.50"),
    ],
)
def test_format_price(value: float, text: str) -> None:
    assert format_price(value) == text


@given(PRICES)
def test_formatted_price_is_a_plain_number_close_to_the_value(value: float) -> None:
    text = format_price(value)
    assert PLAIN_NUMBER.fullmatch(text)
    assert number(text) == pytest.approx(value, rel=1e-5)


@given(PRICES)
def test_formatting_prices_is_idempotent(value: float) -> None:
    text = format_price(value)
    assert format_price(number(text)) == text


@given(PRICES, PRICES)
def test_formatting_preserves_the_order_of_prices(one: float, other: float) -> None:
    lower, higher = sorted((one, other))
    assert number(format_price(lower)) <= number(format_price(higher))


@given(st.floats(min_value=0, max_value=1e15))
def test_formatted_amount_is_a_plain_number_close_to_the_value(value: float) -> None:
    text = format_amount(value)
    assert PLAIN_NUMBER.fullmatch(text)
    assert number(text) == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize(
    ("value", "unsigned", "signed"),
    [
        (2.1, "2.1%", "+2.10%"),
        (-0.354, "-0.35%", "-0.35%"),
        (0.0, "0%", "0.00%"),
        (0.001, "0.001%", "+0.001%"),
        (-1e-9, "0%", "0.00%"),
        (1000, "1,000%", "+1,000.00%"),
    ],
)
def test_format_percent(value: float, unsigned: str, signed: str) -> None:
    assert format_percent(value) == unsigned
    assert format_percent(value, signed=True) == signed


def test_format_percent_with_more_decimals() -> None:
    assert format_percent(0.125, decimals=6) == "0.125%"


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_zero_percent_has_no_sign(value: float) -> None:
    text = format_percent(value, signed=True)
    assert (text[0] in "+-") == any(digit in text for digit in "123456789")


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(minutes=5), "5 minutes"),
        (3600, "1 hour"),
        (timedelta(days=30), "30 days"),
        (5400, "90 minutes"),
        (1, "1 second"),
        (0, "0 seconds"),
        (3601, "3,601 seconds"),
        (1.5, "1.5 seconds"),
    ],
)
def test_format_duration(duration: timedelta | float, text: str) -> None:
    assert format_duration(duration) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (-3, "0 s ago"),
        (59.9, "59 s ago"),
        (timedelta(minutes=1), "1 min ago"),
        (7200, "2 h ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(days=2), "2 d ago"),
    ],
)
def test_format_age(age: timedelta | float, text: str) -> None:
    assert format_age(age) == text


def test_timestamp_includes_its_zone() -> None:
    """New York sets its clocks back from 02:00 to 01:00."""
    first, second = (datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6))
    new_york = ZoneInfo("America/New_York")
    assert format_timestamp(first, new_york) == "2026-11-01 01:30:00 EDT"
    assert format_timestamp(second, new_york, "minutes") == "2026-11-01 01:30 EST"


def test_format_count_uses_the_plural() -> None:
    assert [format_count(number, "alert") for number in (0, 1, 2, 1000)] == [
        "0 alerts",
        "1 alert",
        "2 alerts",
        "1,000 alerts",
    ]
