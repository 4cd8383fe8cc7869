"""Numbers and times as people read them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.web.formatting import age, amount, change, duration, local, price, spread


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (43215.124, "43,215.12"),
        (100, "100.00"),
        (2.34567, "2.3457"),
        (0.523456, "0.5235"),
        (0.00001234, "0.00001234"),
        (1e-9, "0.000000001000"),
        (None, "–"),  # noqa: RUF001
    ],
)
def test_prices_show_the_digits_that_matter(value: float | None, text: str) -> None:
    assert price(value) == text


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_every_price_is_shown_to_a_thousandth_of_itself(value: float) -> None:
    assert float(price(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("percent", "text"),
    [(2.1, "+2.10 %"), (-0.354, "−0.35 %"), (0.001, "0.00 %"), (-0.001, "0.00 %")],  # noqa: RUF001
)
def test_changes_carry_their_sign_unless_they_round_to_nothing(percent: float, text: str) -> None:
    assert change(percent) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (172_800, "2 d ago")],
)
def test_ages_use_the_unit_that_fits(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("bid", "ask", "text"), [(43215.1, 43223.74, "8.64"), (43215.12, 43215.121, "0.001000"), (1.0, 1.0, "0.00")]
)
def test_a_spread_has_the_digits_of_its_price_or_enough_to_be_seen(bid: float, ask: float, text: str) -> None:
    assert spread((bid, ask)) == text


def test_amounts_and_waiting_times() -> None:
    assert amount(12345.6) == "12,346"
    assert amount(3.214) == "3.21"
    assert [duration(minutes) for minutes in (0.25, 1, 3, 1.5)] == [
        "15 seconds",
        "1 minute",
        "3 minutes",
        "1.5 minutes",
    ]


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    """New York sets its clocks back from 02:00 to 01:00."""
    before, first, second, after = (datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (4, 5, 6, 7))
    told = [local(moment, ZoneInfo("America/New_York")) for moment in (before, first, second, after)]
    assert told == [f"1 Nov 2026, {time}" for time in ("00:30", "01:30 EDT", "01:30 EST", "02:30")]
