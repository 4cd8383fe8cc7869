"""The filters of the page templates: a dash for a missing value, otherwise the text of ``coinwatch.formatting``."""

from datetime import UTC, datetime, tzinfo

from coinwatch.formatting import format_amount, format_percent, format_price, format_timestamp

NO_VALUE = "–"  # noqa: RUF001


def price(value: float | None) -> str:
    return NO_VALUE if value is None else format_price(value)


def spread(bid_and_ask: tuple[float, float]) -> str:
    """Ask minus bid."""
    bid, ask = bid_and_ask
    return format_price(float(f"{ask - bid:.6g}"))  # without the error of subtracting two floats


def amount(value: float | None) -> str:
    return NO_VALUE if value is None else format_amount(value)


def change(percent: float | None) -> str:
    return NO_VALUE if percent is None else format_percent(percent, signed=True)


def local(moment: datetime, zone: tzinfo) -> str:
    """2026-11-20 13:05 CET, in a time zone."""
    return format_timestamp(moment, zone, "minutes")


def day_and_time(moment: datetime) -> str:
    """31 Jan 12:00, in UTC"""
    return moment.astimezone(UTC).strftime("%-d %b %H:%M")


def iso(moment: datetime) -> str:
    """2026-01-31T12:00:05Z, for <time datetime> and links"""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
