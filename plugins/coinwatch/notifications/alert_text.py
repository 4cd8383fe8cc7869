"""Describes fired alerts in emails and on other channels.

An alert is a mapping, as ``sql/notifications/queue_alerts.sql`` stores it in an outbox row's payload.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from coinwatch.alerts.rules import EXTREMES, Rule, describe, extreme_name
from coinwatch.formatting import format_amount, format_duration, format_percent, format_price

Alert = Mapping[str, Any]
DEMO = "Demo prices"


def headline(alert: Alert) -> str:
    """The alert in one line: "BTC down 0.07% to 94,197 USD", followed by "on Kraken" unless it is about the index.

    An alert on simulated prices starts with "Demo prices: ".
    """
    value, unit = format_value(alert, alert["price"]), value_unit(alert)
    if alert["kind"] == "crosses" and alert["price"] == alert["threshold"] and not is_step(alert):
        text = f"{summary(alert)} {unit}"
    elif is_extreme(alert):
        text = f"{summary(alert)}: {value} {unit}"
    else:
        text = f"{summary(alert)} {'at' if alert['kind'] == 'deviation_from_average' else 'to'} {value} {unit}"
    return mark_demo(alert, text if alert["exchange"] == "index" else f"{text} on {exchange_label(alert)}")


def mark_demo(payload: Mapping[str, Any], text: str) -> str:
    """The text, marked if the prices it is about are simulated or replayed."""
    return f"{DEMO}: {text}" if payload.get("simulated") else text


def summary(alert: Alert) -> str:
    """The coin and its change, without the value: "BTC up 5.2% in 10 minutes"."""
    return f"{alert['base']} {change_text(alert)}"


def change_text(alert: Alert) -> str:
    """What happened.

    For example "up 5.2% in 10 minutes", "5.2% above its 5-minute average", "rose above 70,000", "rose a further 5.1%",
    "at a new 30-day high".
    """
    metric = "24 h volume " if alert["metric"] == "volume_24h" else ""
    rises = alert["change_percent"] > 0
    if is_step(alert):
        further = format_percent(abs(alert["change_percent"]), decimals=max(2, _decimals(alert["ladder_percent"])))
        steps = f" ({alert['steps']:,} steps)" if alert["steps"] > 1 else ""
        return f"{metric}{'rose' if rises else 'fell'} a further {further}{steps}"
    if is_extreme(alert):
        return f"{metric}at a new {_extreme(alert)}"
    if alert["kind"] == "crosses":
        verb = "rose" if rises else "fell"
        where = "to" if alert["price"] == alert["threshold"] else "above" if rises else "below"
        return f"{metric}{verb} {where} {format_value(alert, alert['threshold'])}"
    change = format_percent(abs(alert["change_percent"]), decimals=max(2, _decimals(alert["threshold"])))
    if alert["kind"] == "deviation_from_average":
        return f"{metric}{change} {'above' if rises else 'below'} its {_average(alert)}"
    text = f"{metric}{'up' if rises else 'down'} {change}"
    if alert["kind"] == "change_over_window":
        return f"{text} in {format_duration(alert['window_seconds'])}"
    return text


def reference_label(alert: Alert) -> str:
    """What the new value was compared with: "10 minutes earlier", "5-minute average" or "Previous price"."""
    if is_step(alert):
        return "Previous step"
    if is_extreme(alert):
        return f"Previous {_extreme(alert)}"
    if alert["kind"] == "change_over_window":
        return f"{format_duration(alert['window_seconds'])} earlier"
    if alert["kind"] == "deviation_from_average":
        return _average(alert)
    return "Previous price" if alert["metric"] == "price" else "Previous volume"


def exchange_label(alert: Alert) -> str:
    """The exchange's name, or its code if the payload has no name."""
    if alert["exchange"] == "index":
        return "the demo market" if alert.get("simulated") else "all exchanges (median)"
    return str(alert.get("exchange_name") or alert["exchange"])


def value_unit(alert: Alert) -> str:
    """The currency of the alert's values: the quote currency for a price, the coin itself for a volume."""
    return str(alert["quote"] if alert["metric"] == "price" else alert["base"])


def format_value(alert: Alert, value: float) -> str:
    """Format a value of the alert: a price or a 24 h volume."""
    return format_price(value) if alert["metric"] == "price" else format_amount(value)


def condition(alert: Alert) -> str:
    """The rule that fired: "the price rises by 5% or more within 1 hour"."""
    rule = Rule(
        alert["kind"],
        alert["threshold"],
        alert["direction"],
        alert["metric"],
        alert["window_seconds"],
        ladder_percent=alert.get("ladder_percent"),
    )
    return describe(rule, alert["quote"], alert["base"])


def is_step(alert: Alert) -> bool:
    """Whether it fired because the value was a step of its ladder further, not because the condition became true."""
    return alert.get("steps") is not None


def is_extreme(alert: Alert) -> bool:
    """Whether it is about a new high or low."""
    return alert["kind"] in EXTREMES


def _extreme(alert: Alert) -> str:
    """For example "30-day high"."""
    return extreme_name(alert["kind"], alert["window_seconds"])


def _average(alert: Alert) -> str:
    """For example "5-minute average"."""
    return f"{format_duration(alert['window_seconds']).removesuffix('s').replace(' ', '-')} average"


def _decimals(threshold: float) -> int:
    """The decimals of a threshold: a change is shown with at least as many, so that it never looks smaller."""
    return max(0, -int(Decimal(f"{threshold:.10g}").as_tuple().exponent))
