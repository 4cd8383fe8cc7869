"""Values, moments and alerts in the words of a mail."""

import textwrap
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from coinwatch.alerts.rules import Rule, describe
from coinwatch.formatting import format_duration, format_percent, format_price, format_timestamp

TEXT_WIDTH = 72


def short_change(alert: Mapping[str, Any]) -> str:
    """A change with as many decimals as its threshold, so that it never reads as less: past 1.245% is not +1.24%."""
    decimals = 0
    if alert["kind"] != "crosses":
        decimals = max(0, -int(Decimal(f"{alert['threshold']:.10g}").as_tuple().exponent))
    return format_percent(alert["change_percent"], signed=True, decimals=max(2, decimals))


def news(alert: Mapping[str, Any]) -> str:
    """What happened: "+5.20% in 10 minutes", "rose past 70,000.00", "fell to 70,000.00", "24 h volume -60.00%"."""
    what = "24 h volume " if alert["metric"] == "volume_24h" else ""
    if alert["kind"] == "crosses":
        where = "to" if alert["price"] == alert["threshold"] else "past"
        return f"{what}{'rose' if alert['change_percent'] > 0 else 'fell'} {where} {format_price(alert['threshold'])}"
    change = f"{what}{short_change(alert)}"
    if alert["kind"] == "change_over_window":
        return f"{change} in {format_duration(alert['window_seconds'])}"
    if alert["kind"] == "deviation_from_average":
        return f"{change} against its {_average(alert)}"
    return change


def reference_name(alert: Mapping[str, Any]) -> str:
    """What the value is compared with: "10 minutes before", "5-minute average", "Value before"."""
    if alert["kind"] == "change_over_window":
        return f"{format_duration(alert['window_seconds'])} before"
    if alert["kind"] == "deviation_from_average":
        return _average(alert)
    return "Value before"


def _average(alert: Mapping[str, Any]) -> str:
    """5-minute average."""
    return f"{format_duration(alert['window_seconds']).removesuffix('s').replace(' ', '-')} average"


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


def zone_named(name: str) -> ZoneInfo:
    """The reader's zone; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local(moment: str | None, zone: ZoneInfo) -> str:
    """2026-03-01 13:01:00 CET; nothing for None."""
    return format_timestamp(datetime.fromisoformat(moment), zone) if moment else ""


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
