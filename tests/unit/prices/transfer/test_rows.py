"""Parsing times in any unit exactly, and detecting the resolution of rows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.errors import InvalidRequest
from coinwatch.prices.transfer.formats.rows import (
    detect_resolution,
    parse_count,
    parse_resolution_name,
    parse_time,
    parse_unix_time,
)

START = datetime(2025, 1, 1, tzinfo=UTC)


@given(st.datetimes(datetime(2009, 1, 3), datetime(2200, 1, 1)), st.sampled_from([1, 10**3, 10**6, 10**9]))  # noqa: DTZ001
def test_unix_time_is_parsed_exactly_in_any_unit(naive: datetime, per_second: int) -> None:
    seconds = int(naive.replace(tzinfo=UTC, microsecond=0).timestamp())
    read = parse_unix_time(str(seconds * per_second))
    assert read == datetime.fromtimestamp(seconds, UTC)
    assert parse_unix_time(f"{seconds * per_second}.0") == read


@pytest.mark.parametrize(
    "text", ["", "1.6461E+12", "1646092800.5", "-1646092800", "12345678", "16460928000", "१६४६०९२८००"]
)
def test_rounded_number_is_not_a_unix_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Unix time"):
        parse_unix_time(text)


def test_times_are_iso_8601_or_unix_and_default_to_utc() -> None:
    assert (
        parse_time("2025-01-01 00:00:00.000000")
        == parse_time("2025-01-01T01:00+01:00")
        == parse_time("1735689600")
        == START
    )
    assert parse_time("2025-01-01") == START
    with pytest.raises(ValueError, match="neither an ISO 8601 time"):
        parse_time("01/02/2025")


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
