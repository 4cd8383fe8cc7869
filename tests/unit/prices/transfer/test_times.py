"""Parsing times in any unit exactly."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.prices.transfer.formats.times import parse_first_time, parse_time, parse_unix_time

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


@pytest.mark.parametrize(
    "text",
    [
        "2019-12-02 03-PM",
        "2019-12-02 15:00:00 UTC",
        "2019-12-02T15:00:00Z",
        "2019/12/02 15:00",
        "02.12.2019 15:00:00.000",
        "20191202 150000",
        "2019-12-02 16:00:00+01:00",
    ],
)
def test_forms_of_data_providers_are_the_same_time(text: str) -> None:
    assert parse_time(text) == datetime(2019, 12, 2, 15, tzinfo=UTC)


def test_midnight_and_noon_are_12_am_and_12_pm() -> None:
    assert parse_time("2019-12-02 12-AM") == datetime(2019, 12, 2, tzinfo=UTC)
    assert parse_time("2019-12-02 12-PM") == datetime(2019, 12, 2, 12, tzinfo=UTC)


def test_first_column_that_is_a_time_counts() -> None:
    assert parse_first_time(["1735689600000", "2019-12-02"]) == START
    assert parse_first_time(["1.73569E+12", "2025-01-01 00:00:00"]) == START
    assert parse_first_time(["2025-01-01", "0:00"]) == parse_first_time(["2025.01.01", "0:00:00"]) == START
    with pytest.raises(ValueError, match="neither an ISO 8601 time"):
        parse_first_time(["1.73569E+12", "today"])
