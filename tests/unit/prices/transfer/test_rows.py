"""What rows tell about themselves: moments in any unit, exactly, and how far apart they are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.errors import InvalidRequest
from coinwatch.prices.transfer.formats.rows import count, moment, resolution_named, resolution_of, unix_moment

START = datetime(2025, 1, 1, tzinfo=UTC)


@given(st.datetimes(datetime(2009, 1, 3), datetime(2200, 1, 1)), st.sampled_from([1, 10**3, 10**6, 10**9]))  # noqa: DTZ001
def test_a_unix_time_is_read_exactly_whatever_its_unit(naive: datetime, per_second: int) -> None:
    seconds = int(naive.replace(tzinfo=UTC, microsecond=0).timestamp())
    read = unix_moment(str(seconds * per_second))
    assert read == datetime.fromtimestamp(seconds, UTC)
    assert unix_moment(f"{seconds * per_second}.0") == read


@pytest.mark.parametrize(
    "text", ["", "1.6461E+12", "1646092800.5", "-1646092800", "12345678", "16460928000", "१६४६०९२८००"]
)
def test_what_has_lost_its_digits_is_no_unix_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Unix time"):
        unix_moment(text)


def test_a_moment_without_a_zone_is_utc_and_one_with_a_zone_is_turned() -> None:
    assert moment("2025-01-01 00:00:00.000000") == moment("2025-01-01T01:00+01:00") == moment("1735689600") == START
    assert moment("2025-01-01") == START
    with pytest.raises(ValueError, match="neither an ISO 8601 moment"):
        moment("01/02/2025")


def test_a_number_of_trades_is_whole_or_unknown() -> None:
    assert [count(text) for text in ("982", "982.0", "", "-1", "1.5", "99999999999")] == [
        982,
        982,
        None,
        None,
        None,
        None,
    ]


def opened(*minutes: float) -> list[datetime]:
    return [START + timedelta(minutes=number) for number in minutes]


def test_the_resolution_is_how_far_rows_are_apart_gaps_and_order_notwithstanding() -> None:
    assert resolution_of(None, opened(0, 1, 2, 90, 91), "f") == "1m"
    assert resolution_of(None, opened(180, 120, 60, 0), "f") == "1h"
    assert resolution_of(None, opened(0, 1440, 2880), "f") == "1d"
    assert resolution_of(None, opened(0, 7, 12, 25), "f") == "1m", (
        "a thin market: the grid shows, the neighbours do not"
    )
    assert resolution_of("1m", opened(0), "f") == "1m"
    assert resolution_of("1m", opened(0, 7, 14), "f") == "1m"


def test_rows_that_belie_what_the_name_says_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"should hold candles of 1h, but its rows are 60 s apart"):
        resolution_of("1h", opened(0, 1, 2), "f")
    with pytest.raises(InvalidRequest, match=r"should hold candles of 1m, but its rows are 3600 s apart"):
        resolution_of("1m", opened(0, 60, 120), "f")
    with pytest.raises(InvalidRequest, match=r"300 s apart\): coinwatch keeps candles of 1m, 1h and 1d"):
        resolution_of(None, opened(0, 5, 10), "f")
    with pytest.raises(InvalidRequest, match="one row only"):
        resolution_of(None, opened(0), "f")


def test_a_resolution_we_do_not_keep_is_refused_with_what_we_do() -> None:
    assert [resolution_named(word, "f") for word in ("1m", "minute", "1h", "1D", "d")] == ["1m", "1m", "1h", "1d", "1d"]
    with pytest.raises(InvalidRequest, match="f holds candles of 15m: coinwatch keeps candles of 1m, 1h and 1d"):
        resolution_named("15m", "f")
