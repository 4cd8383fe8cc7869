"""Parsing trade counts, and detecting the resolution of rows."""

from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.errors import InvalidRequest
from coinwatch.prices.transfer.formats.rows import (
    detect_resolution,
    parse_count,
    parse_resolution_name,
)

START = datetime(2025, 1, 1, tzinfo=UTC)


def test_trade_count_is_an_integer_or_unknown() -> None:
    assert [parse_count(text) for text in ("982", "982.0", "", "-1", "1.5", "99999999999")] == [
        982,
        982,
        None,
        None,
        None,
        None,
    ]


def opened(*minutes: float) -> list[datetime]:
    return [START + timedelta(minutes=number) for number in minutes]


def test_resolution_is_detected_despite_gaps_and_order() -> None:
    assert detect_resolution(None, opened(0, 1, 2, 90, 91), "f") == "1m"
    assert detect_resolution(None, opened(180, 120, 60, 0), "f") == "1h"
    assert detect_resolution(None, opened(0, 1440, 2880), "f") == "1d"
    assert detect_resolution(None, opened(0, 7, 12, 25), "f") == "1m", "in a thin market, the grid is detected"
    assert detect_resolution(None, opened(0, 1, 240, 300, 222, 282), "f") == "1m", "also if many are an hour apart"
    assert detect_resolution("1m", opened(0), "f") == "1m"
    assert detect_resolution("1m", opened(0, 7, 14), "f") == "1m"


def test_rows_that_contradict_the_given_resolution_are_an_error() -> None:
    with pytest.raises(InvalidRequest, match=r"1h.* 60 s"):
        detect_resolution("1h", opened(0, 1, 2), "f")
    with pytest.raises(InvalidRequest, match=r"1m.* 3600 s"):
        detect_resolution("1m", opened(0, 60, 120), "f")
    with pytest.raises(InvalidRequest, match=r"300 s.*1m, 1h and 1d"):
        detect_resolution(None, opened(0, 5, 10), "f")
    with pytest.raises(InvalidRequest, match="only one row"):
        detect_resolution(None, opened(0), "f")


def test_unsupported_resolution_error_lists_the_supported_ones() -> None:
    assert [parse_resolution_name(word, "f") for word in ("1m", "minute", "1h", "1D", "d")] == [
        "1m",
        "1m",
        "1h",
        "1d",
        "1d",
    ]
    with pytest.raises(InvalidRequest, match=r"15m.*1m, 1h and 1d"):
        parse_resolution_name("15m", "f")
