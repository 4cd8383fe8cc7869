"""Parsing exchanges' timestamps."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.exchanges.timestamps import from_unix, parse_rfc3339

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - Hypothesis takes naive bounds
    max_value=datetime(2199, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moment=MOMENTS, offset=OFFSETS)
def test_isoformat_round_trips_to_utc(moment: datetime, offset: timezone) -> None:
    assert parse_rfc3339(moment.astimezone(offset).isoformat()) == moment
    assert parse_rfc3339(moment.astimezone(offset).isoformat()).tzinfo is UTC


@given(moment=MOMENTS, digits=st.text("0123456789", max_size=12), zone=st.sampled_from(["Z", "z", "+00:00", "-00:00"]))
def test_fractions_are_truncated_to_microseconds(moment: datetime, digits: str, zone: str) -> None:
    whole = moment.replace(microsecond=0)
    fraction = f".{digits}" if digits else ""

    read = parse_rfc3339(f"{whole:%Y-%m-%dT%H:%M:%S}{fraction}{zone}")

    assert read == whole + timedelta(microseconds=int(f"{digits:0<6}"[:6]))


@given(text=st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_other_values_raise_value_error(text: object) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T06:00:00",  # no offset
        "2026-11-20",
        "20261120T060000Z",
        "2026-11-20T06:00Z",
        "2026-02-30T06:00:00Z",
        "2026-11-20T24:30:00Z",
        "2026-11-20T06:00:00.Z",
        "2026-11-20T06:00:00Z ",
        "٢٠٢٦-11-20T06:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_almost_valid_timestamps_raise_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


@given(moment=MOMENTS)
def test_unix_timestamps_are_numbers_or_text_in_seconds_or_milliseconds(moment: datetime) -> None:
    seconds = int(moment.timestamp())
    expected = moment.replace(microsecond=0)

    assert from_unix(seconds) == from_unix(str(seconds)) == from_unix(seconds * 1000, per_second=1000) == expected


@given(number=st.none() | st.text("abc", min_size=1) | st.lists(st.integers()) | st.floats(min_value=1e15))
def test_invalid_unix_timestamp_raises_value_error(number: object) -> None:
    with pytest.raises(ValueError, match="Unix timestamp"):
        from_unix(number)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1e18, 10**400, "", {}])
def test_out_of_range_unix_timestamps_raise_value_error(number: object) -> None:
    with pytest.raises(ValueError, match="Unix timestamp"):
        from_unix(number)
