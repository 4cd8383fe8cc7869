"""Numbers, durations and times as text for people: one function each, used by pages, emails, the CLI and logs.

The same value is the same text everywhere. Output for programs (JSON, CSV, ``alerts.txt``) holds plain numbers instead.
"""

import difflib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Literal

PRICE_DIGITS = 6
AMOUNT_DIGITS = 3
PLAIN_DIGITS = 8
PERCENT_DECIMALS = 2
SMALLEST_PERCENT = 0.0001
MAX_SUGGESTIONS = 2

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
COVERED_FROM, MIN_COVERED = 1 / 30, timedelta(minutes=15)
SHORT_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))
COMPACT_UNITS = ("", "K", "M", "B", "T")
DURATION_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60))


def format_price(value: float) -> str:
    """A price or price level: six significant digits, at least two decimals, thousands separated by commas.

    Never in scientific notation. Zeros after the second decimal are dropped.

    >>> [format_price(value) for value in (94197.123, 70000, 105.5, 2.345678, 0.00000123)]
    ['94,197.12', '70,000.00', '105.50', '2.34568', '0.00000123']
    """
    return _significant(value, PRICE_DIGITS)


def price_decimals(value: float) -> int:
    """The number of decimals that ``format_price`` shows at most, for programs that format prices themselves.

    >>> [price_decimals(value) for value in (94197.123, 0.00000123)]
    [2, 11]
    """
    return max(2, PRICE_DIGITS - 1 - Decimal(repr(float(value))).adjusted())


def format_amount(value: float) -> str:
    """A traded amount or volume: whole numbers from 1,000, three significant digits and two decimals below.

    >>> [format_amount(value) for value in (1234567.8, 999.123, 3.214, 0.00123456)]
    ['1,234,568', '999.12', '3.21', '0.00123']
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else _significant(value, AMOUNT_DIGITS)


def format_compact(value: float) -> str:
    """A sum or an amount in three significant digits, with K, M, B or T for thousands to trillions.

    >>> [format_compact(value) for value in (1234567890, 999_999, 12_345, 56.789, 0.0012345)]
    ['1.23B', '1.00M', '12.3K', '56.8', '0.00123']
    """
    if not value:
        return "0.00"
    rounded = Decimal(f"{value:.2e}")
    power = min(max(rounded.adjusted() // 3, 0), len(COMPACT_UNITS) - 1)
    scaled = rounded.scaleb(-3 * power)
    return f"{scaled:,.{max(0, 2 - scaled.adjusted())}f}{COMPACT_UNITS[power]}"


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

    ``static/scripts/times.js`` counts on in the same format.

    >>> [format_age(seconds) for seconds in (12.9, 200, 5 * 3600, 172_800)]
    ['12 s ago', '3 min ago', '5 h ago', '2 d ago']
    """
    return f"{format_elapsed(age)} ago"


def format_elapsed(duration: timedelta | float) -> str:
    """A measured duration, or a number of seconds, rounded down, in one unit: hours are used up to two days.

    >>> [format_elapsed(seconds) for seconds in (12.9, 200, 5 * 3600, 172_800)]
    ['12 s', '3 min', '5 h', '2 d']
    """
    seconds = max(0, int(duration.total_seconds() if isinstance(duration, timedelta) else duration))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 2 * 86_400:
        return f"{seconds // 3600} h"
    return f"{seconds // 86_400} d"


def format_window(duration: timedelta) -> str:
    """A rule's window, as short as a measured duration but exact.

    >>> [format_window(timedelta(seconds=seconds)) for seconds in (3600, 86_400, 300, 5400, 90)]
    ['1 h', '1 d', '5 min', '90 min', '90 s']
    """
    seconds = int(duration.total_seconds())
    for unit, size in SHORT_UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def format_since(first_at: datetime, start: datetime, end: datetime) -> str | None:
    """When data begins that was requested for [start, end]: "since 16:45 UTC (36 min)"; None if it covers it all.

    The date is left out if it is the end's. Data that begins within the first thirtieth of the range (a day of 30), or
    within 15 minutes, covers it: prices are not observed all the time.

    >>> end = datetime(2026, 3, 1, 17, 21, tzinfo=UTC)
    >>> format_since(end - timedelta(minutes=36), end - timedelta(days=30), end)
    'since 16:45 UTC (36 min)'
    >>> format_since(end - timedelta(days=3), end - timedelta(days=30), end)
    'since 2026-02-26 17:21 UTC (3 d)'
    """
    if first_at - start <= max((end - start) * COVERED_FROM, MIN_COVERED):
        return None
    utc, last = first_at.astimezone(UTC), end.astimezone(UTC)
    time = f"{utc:%H:%M}" if utc.date() == last.date() else f"{utc:%Y-%m-%d %H:%M}"
    return f"since {time} UTC ({format_elapsed(end - first_at)})"


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


def format_bytes(count: float) -> str:
    """A size on disk in powers of 1,024, like ``pg_size_pretty``.

    >>> [format_bytes(count) for count in (512, 1536, 2.3 * 1024**3)]
    ['512 B', '1.5 kB', '2.3 GB']
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


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


def escape_control_characters(text: str, *, newlines: bool = False) -> str:
    r"""The text with characters that control a terminal, or reorder what it shows, as escapes such as \x1b.

    These are the control characters of ASCII and Latin-1, line and paragraph separators, marks and overrides of the
    writing direction, byte order marks, and halves of surrogate pairs. With ``newlines``, line breaks are kept.

    >>> escape_control_characters("red \x1b[31m, reversed \u202e")
    'red \\x1b[31m, reversed \\u202e'
    """

    def escape(found: re.Match[str]) -> str:
        return found[0] if newlines and found[0] == "\n" else found[0].encode("unicode_escape").decode("ascii")

    return CONTROL_CHARACTER.sub(escape, text)


def plain_number(value: float) -> str:
    """A number for programs: without thousands separators or an exponent, and without the noise of floating point.

    It has eight significant digits, but at least two decimals.

    >>> [plain_number(value) for value in (105.0, 0.00000123, 1234567.89, 0.1 + 0.2, 100 / 3, 9876543210.123)]
    ['105.0', '0.00000123', '1234567.89', '0.3', '33.333333', '9876543210.12']
    """
    exact = Decimal(repr(float(value)))
    text = f"{exact:.{max(2, PLAIN_DIGITS - 1 - exact.adjusted())}f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"


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
