"""Numbers, durations and times as text for people: one function each, used by pages, emails, the CLI and logs.

The same value is the same text everywhere. Output for programs (JSON, CSV, ``alerts.txt``) holds plain numbers instead.
"""

import difflib
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Literal

PRICE_DIGITS = 6
AMOUNT_DIGITS = 3
PERCENT_DECIMALS = 2
SMALLEST_PERCENT = 0.0001
MAX_SUGGESTIONS = 2

DURATION_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60))


def format_price(value: float) -> str:
    """A price or price level: six significant digits, at least two decimals, thousands separated by commas.

    Never in scientific notation. Zeros after the second decimal are dropped.

    >>> [format_price(value) for value in (94197.123, 70000, 105.5, 2.345678, 0.00000123)]
    ['94,197.12', '70,000.00', '105.50', '2.34568', '0.00000123']
    """
    return _significant(value, PRICE_DIGITS)


def format_amount(value: float) -> str:
    """A traded amount or volume: whole numbers from 1,000, three significant digits and two decimals below.

    >>> [format_amount(value) for value in (1234567.8, 999.123, 3.214, 0.00123456)]
    ['1,234,568', '999.12', '3.21', '0.00123']
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else _significant(value, AMOUNT_DIGITS)


def format_percent(value: float, signed: bool = False, decimals: int = PERCENT_DECIMALS) -> str:
    """A percentage, from a value that is already in percent (2.5 is 2.5%).

    A change is ``signed`` and always has all ``decimals``, so that columns line up; any other percentage, such as a
    threshold, has at most that many. A value that would round to zero shows its first digit, down to 0.0001%.

    >>> [format_percent(value) for value in (5, 0.07, 1250)]
    ['5%', '0.07%', '1,250%']
    >>> [format_percent(value, signed=True) for value in (5, -0.354, 0, -0.0004)]
    ['+5.00%', '-0.35%', '0.00%', '-0.0004%']
    """
    size = abs(value)
    if SMALLEST_PERCENT <= size < 0.5 * 10**-decimals:
        text = f"{Decimal(f'{size:.1g}'):f}"
    else:
        text = f"{size:,.{decimals}f}"
        if not signed:
            text = _without_trailing_zeros(text)
    is_zero = not any(digit in text for digit in "123456789")
    sign = "" if is_zero else "-" if value < 0 else "+" if signed else ""
    return f"{sign}{text}%"


def format_duration(duration: timedelta | float) -> str:
    """A duration, or a number of seconds, in the largest unit that divides it.

    >>> [format_duration(seconds) for seconds in (86_400, 3600, 300, 90, 0.5)]
    ['1 day', '1 hour', '5 minutes', '90 seconds', '0.5 seconds']
    """
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    for unit, size in DURATION_UNITS:
        if seconds >= size and seconds % size == 0:
            return _counted(seconds / size, unit)
    return _counted(seconds, "second")


def format_age(age: timedelta | float) -> str:
    """How long ago something happened, given as a duration or in seconds: rounded down, in one unit.

    Hours are used up to two days. ``static/times.js`` counts on in the same format.

    >>> [format_age(seconds) for seconds in (12.9, 200, 5 * 3600, 172_800)]
    ['12 s ago', '3 min ago', '5 h ago', '2 d ago']
    """
    seconds = max(0, int(age.total_seconds() if isinstance(age, timedelta) else age))
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < 2 * 86_400:
        return f"{seconds // 3600} h ago"
    return f"{seconds // 86_400} d ago"


def format_timestamp(moment: datetime, zone: tzinfo = UTC, timespec: Literal["minutes", "seconds"] = "seconds") -> str:
    """An aware datetime in a time zone, with the zone's abbreviation (or offset, where it has none).

    >>> format_timestamp(datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC))
    '2026-01-31 12:00:05 UTC'
    >>> from zoneinfo import ZoneInfo
    >>> format_timestamp(datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC), ZoneInfo("Europe/Berlin"), "minutes")
    '2026-01-31 13:00 CET'
    """
    time = "%H:%M" if timespec == "minutes" else "%H:%M:%S"
    return moment.astimezone(zone).strftime(f"%Y-%m-%d {time} %Z")


def format_count(number: int, noun: str) -> str:
    """A number of things; the noun's plural ends in "s".

    >>> [format_count(number, "alert") for number in (0, 1, 1000)]
    ['0 alerts', '1 alert', '1,000 alerts']
    """
    return _counted(number, noun)


def did_you_mean(text: str, known: Mapping[str, str]) -> str:
    """The sentence " Did you mean kraken?" with a leading space, or nothing if no name is similar.

    ``known`` maps each name, such as "Bitcoin", to what is suggested, such as "BTC". Case is ignored.

    >>> did_you_mean("krakn", {"kraken": "kraken", "binance": "binance"})
    ' Did you mean kraken?'
    """
    by_name = {name.lower(): suggestion for name, suggestion in known.items()}
    similar = difflib.get_close_matches(text.strip().lower(), by_name, n=MAX_SUGGESTIONS)
    found = list(dict.fromkeys(by_name[name] for name in similar))
    return f" Did you mean {' or '.join(found)}?" if found else ""


def plain_number(value: float) -> str:
    """A number for programs: all its digits, without thousands separators or an exponent.

    >>> [plain_number(value) for value in (105.0, 0.00000123, 1234567.89)]
    ['105.0', '0.00000123', '1234567.89']
    """
    return f"{Decimal(repr(float(value))):f}"


def _counted(number: float, noun: str) -> str:
    text = _without_trailing_zeros(f"{number:,.3f}")
    return f"{text} {noun}" if text == "1" else f"{text} {noun}s"


def _significant(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return str(value)
    exact = Decimal(repr(float(value)))
    text = f"{exact:,.{max(2, digits - 1 - exact.adjusted())}f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def _without_trailing_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
