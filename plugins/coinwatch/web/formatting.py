# ruff: noqa: RUF001, RUF002  people read a dash and a minus sign, not two hyphens
"""Numbers and times as people read them."""

import math
from datetime import UTC, datetime, tzinfo

NO_VALUE = "–"


def price(value: float | None) -> str:
    """A price with the digits that matter: 43,215.12 and 2.3456 and 0.00001234."""
    if value is None:
        return NO_VALUE
    return f"{value:,.{_decimals(value)}f}"


def spread(bid_and_ask: tuple[float, float]) -> str:
    """Ask minus bid, with the digits of the price, or more where that would show nothing."""
    bid, ask = bid_and_ask
    text = f"{ask - bid:,.{_decimals(ask)}f}"
    # The difference of two floats has a tail of its own, which is cut off before its digits are counted.
    return text if any(digit in text for digit in "123456789") else price(float(f"{ask - bid:.6g}"))


def amount(value: float | None) -> str:
    """A traded amount: 12,345 and 3.21."""
    if value is None:
        return NO_VALUE
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"


def change(percent: float | None) -> str:
    """A change in percent with its sign: +2.10 %, −0.35 %."""
    if percent is None:
        return NO_VALUE
    rounded = round(percent, 2)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):,.2f} %"


def age(seconds: float) -> str:
    """How long ago: 12 s ago, 3 min ago, 5 h ago, 2 d ago. static/prices.js counts on in the same words."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < 2 * 86_400:
        return f"{seconds // 3600} h ago"
    return f"{seconds // 86_400} d ago"


def duration(minutes: float) -> str:
    """A waiting time: 15 seconds, 1 minute, 3 minutes."""
    if minutes < 1:
        return f"{round(minutes * 60)} seconds"
    return "1 minute" if minutes == 1 else f"{minutes:g} minutes"


def utc(moment: datetime) -> str:
    """2026-01-31 12:00:05 UTC"""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def local(moment: datetime, zone: tzinfo) -> str:
    """20 Nov 2026, 13:05, by the clock of a time zone; 1 Nov 2026, 01:30 EST in an hour that comes twice"""
    there = moment.astimezone(zone)
    twice = there.replace(fold=0).utcoffset() != there.replace(fold=1).utcoffset()
    return f"{there:{'%d %b %Y, %H:%M %Z' if twice else '%d %b %Y, %H:%M'}}".lstrip("0")


def day_and_time(moment: datetime) -> str:
    """31 Jan 12:00, in UTC"""
    return moment.astimezone(UTC).strftime("%-d %b %H:%M")


def iso(moment: datetime) -> str:
    """2026-01-31T12:00:05Z, for <time datetime> and links"""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _decimals(value: float) -> int:
    size = abs(value)
    if size >= 100 or size == 0:
        return 2
    return 4 if size >= 1 else 3 - math.floor(math.log10(size))
