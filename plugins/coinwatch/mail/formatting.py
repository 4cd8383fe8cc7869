"""Values, moments and alerts in the words of a mail."""

import textwrap
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from coinwatch.alerts.rules import UNITS, Rule, describe, level

SHORT_UNITS = {"day": "day", "hour": "h", "minute": "min", "second": "s"}
TEXT_WIDTH = 72


def format_price(price: float) -> str:
    """A price with six significant digits or two decimals, whichever tells more: 68,923.67 or 0.00001234."""
    if price >= 1000:
        return f"{price:,.2f}"
    return f"{Decimal(f'{price:.6g}'):f}"


def short_price(price: float) -> str:
    """A price for a subject: without decimals from a thousand on, else four significant digits: 68,923 or 2.363."""
    if price >= 1000:
        return f"{price:,.0f}"
    return f"{Decimal(f'{price:.4g}'):f}"


def format_change(percent: float, decimals: int = 2) -> str:
    """+5.23 %; one that would be +0.00 % keeps its first digit: -0.0004 %."""
    if percent and abs(percent) < 0.5 * 10**-decimals:
        return f"{Decimal(f'{percent:.1g}'):+f} %"
    return f"{percent:+,.{decimals}f} %"


def short_change(alert: Mapping[str, Any]) -> str:
    """+5.2 %; two decimals below one percent, and never fewer than the rule has: past 1.24 % is not +1.2 %."""
    percent, asked = alert["change_percent"], 0
    if alert["kind"] != "crosses":
        asked = max(0, -int(Decimal(f"{alert['threshold']:.10g}").as_tuple().exponent))
    return format_change(percent, max(1 if abs(percent) >= 1 else 2, asked))


def short_duration(seconds: int) -> str:
    """10 min, 1 h, 7 days, 90 s."""
    unit, size = next((unit, size) for unit, size in UNITS if seconds % size == 0 and (seconds >= size or size == 1))
    number = seconds // size
    return f"{number} {SHORT_UNITS[unit]}{'s' if unit == 'day' and number > 1 else ''}"


def news(alert: Mapping[str, Any]) -> str:
    """What happened: "+5.2 % in 10 min", "rose past 70,000", "fell to 70,000", "24 h volume -60.0 %"."""
    what = "24 h volume " if alert["metric"] == "volume_24h" else ""
    if alert["kind"] == "crosses":
        where = "to" if alert["price"] == alert["threshold"] else "past"
        return f"{what}{'rose' if alert['change_percent'] > 0 else 'fell'} {where} {level(alert['threshold'])}"
    change = f"{what}{short_change(alert)}"
    if alert["kind"] == "change_over_window":
        return f"{change} in {short_duration(alert['window_seconds'])}"
    if alert["kind"] == "deviation_from_average":
        return f"{change} against its {short_duration(alert['window_seconds'])} average"
    return change


def reference_name(alert: Mapping[str, Any]) -> str:
    """What the value is compared with: "10 min before", "5 min average", "Value before"."""
    if alert["kind"] == "change_over_window":
        return f"{short_duration(alert['window_seconds'])} before"
    if alert["kind"] == "deviation_from_average":
        return f"{short_duration(alert['window_seconds'])} average"
    return "Value before"


def place(alert: Mapping[str, Any]) -> str:
    """The exchange by its name, or by its code where nobody told the name."""
    if alert["exchange"] == "index":
        return "all exchanges (median)"
    return str(alert.get("exchange_name") or alert["exchange"])


def unit(alert: Mapping[str, Any]) -> str:
    """The currency of an alert's values: a volume is counted in the coin itself."""
    return str(alert["quote"] if alert["metric"] == "price" else alert["base"])


def rule_in_words(alert: Mapping[str, Any]) -> str:
    rule = Rule(alert["kind"], alert["threshold"], alert["direction"], alert["metric"], alert["window_seconds"])
    return describe(rule, alert["quote"], alert["base"])


def count(number: int, what: str) -> str:
    """1 alert, 2 alerts, 1,000 alerts."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def zone_named(name: str) -> ZoneInfo:
    """The reader's zone; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local(moment: str | None, zone: ZoneInfo) -> str:
    """01 Mar 2026, 13:01:00 CET; nothing for None."""
    return datetime.fromisoformat(moment).astimezone(zone).strftime("%d %b %Y, %H:%M:%S %Z") if moment else ""


def short_local(moment: str, zone: ZoneInfo) -> str:
    """Sun 01 Mar, 13:01 CET: the night the clocks are set back has some times twice."""
    return datetime.fromisoformat(moment).astimezone(zone).strftime("%a %d %b, %H:%M %Z")


def wrapped(text: str, indent: int = 0) -> str:
    """The text in lines of at most 72 characters; a longer word, such as a link, stays whole."""
    if indent + len(text) <= TEXT_WIDTH:
        return " " * indent + text
    margin = " " * indent
    return textwrap.fill(
        text,
        TEXT_WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
