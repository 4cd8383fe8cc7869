"""The one wall clock; whoever needs the time takes a Clock, so that a test can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The wall clock, aware and UTC."""
    return datetime.now(UTC)
