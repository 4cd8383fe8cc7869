"""The resolutions of candles: those that are stored, and those that can be read."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, get_args

from coinwatch.errors import InvalidRequest
from coinwatch.time_range import DAY, HOUR, MINUTE

Resolution = Literal["1m", "1h", "1d"]
ReadResolution = Literal["1m", "5m", "15m", "1h", "4h", "1d", "1w", "1M"]

STORED_RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)
READ_RESOLUTIONS: tuple[ReadResolution, ...] = get_args(ReadResolution)

# The length of a candle; of a month, the shortest there is.
WIDTHS: Mapping[ReadResolution, timedelta] = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "1h": HOUR,
    "4h": 4 * HOUR,
    "1d": DAY,
    "1w": 7 * DAY,
    "1M": 28 * DAY,
}


def width_seconds(resolution: Resolution) -> int:
    """The length of a stored candle in whole seconds, as exchanges count it."""
    return int(WIDTHS[resolution].total_seconds())


def parse_resolution(text: str) -> ReadResolution:
    """The resolution a user typed, ignoring case except that 1m is a minute and 1M a month.

    Raises InvalidRequest that lists the resolutions.
    """
    wanted = text.strip()
    for resolution in READ_RESOLUTIONS:
        if wanted == resolution or (wanted.lower() == resolution and wanted != "1M"):
            return resolution
    raise InvalidRequest(
        "resolution", f"resolution is {text!r}; it must be one of {', '.join(READ_RESOLUTIONS)} (1M is a month)."
    )
