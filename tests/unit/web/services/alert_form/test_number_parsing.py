"""Numbers as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.web.services.alert_form.number_parsing import format_plain, parse_number, readings


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.5", 2.5),
        ("2,5", 2.5),
        (" 2,5 % ", 2.5),
        (",5", 0.5),
        ("0.523", 0.523),
        ("0,523", 0.523),
        ("70000", 70_000),
        ("70,000.00", 70_000),
        ("70.000,00", 70_000),
        ("70 000", 70_000),
        ("70\u00a0000,50 €", 70_000.5),
        ("$70’000.50", 70_000.5),  # noqa: RUF001  as typed in Switzerland
        ("1,234,567", 1_234_567),
        ("1.234.567", 1_234_567),
        ("1234,567", 1234.567),
        ("0.00001234", 0.00001234),
        ("-1", -1),
        ("０．０５％", 0.05),  # noqa: RUF001  as Japanese keyboards write it
        ("￥７０，０００．５", 70_000.5),  # noqa: RUF001
    ],
)
def test_unambiguous_number_is_parsed(text: str, number: float) -> None:
    assert readings(text) == [number]


@pytest.mark.parametrize("text", ["", "%", "a lot", "nan", "1e5", "1,00,000", "12,34,5", "1.2.3", "70k", "5.", "1 2"])
def test_text_that_is_not_a_number_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        parse_number(text, lambda number: True)


@pytest.mark.parametrize("text", ["70,000", "70.000"])
def test_ambiguous_number_uses_the_likely_reading_or_is_rejected(text: str) -> None:
    assert readings(text) == [70_000, 70]
    assert parse_number(text, lambda number: number > 1000) == 70_000
    assert parse_number(text, lambda number: number < 1000) == 70
    for undecided in (lambda number: True, lambda number: False):
        with pytest.raises(ValueError, match="70000 or 70\\."):
            parse_number(text, undecided)


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_plain_format_parses_to_the_same_number(number: float) -> None:
    assert readings(format_plain(number)) == [number]


@given(st.integers(min_value=0, max_value=10**12), st.integers(min_value=0, max_value=99))
def test_formatted_prices_parse_to_the_same_number(whole: int, cents: int) -> None:
    assert readings(f"{whole:,}.{cents:02}") == [float(f"{whole}.{cents:02}")]
