"""What each kind of email says: one function per kind, from the outbox row's payload to the values of its templates.

Content is the same for all recipients of the same alerts. A ``slot`` stands in for a link that belongs to one
recipient.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from coinwatch.errors import PermanentEmailError
from coinwatch.formatting import format_count, format_percent, format_timestamp
from coinwatch.notifications.alert_text import (
    Alert,
    change_text,
    condition,
    exchange_label,
    format_value,
    headline,
    is_extreme,
    is_step,
    mark_demo,
    reference_label,
    summary,
    value_unit,
)

MAX_ALERTS_SHOWN = 30  # the manage page shows the others
MAX_ALERTS_IN_PREVIEW = 3
SLOT = f"slot{secrets.token_hex(8)}"  # unguessable, so that no name from an exchange contains a slot
CONFIRM, MANAGE, SNOOZE, UNSUBSCRIBE = "confirm", "manage", "snooze", "unsubscribe"


@dataclass(frozen=True, slots=True)
class Content:
    """An email's subject and template values.

    ``subscriptions`` are those that its unsubscribe link ends, ``charted`` is the alert whose chart it shows.
    """

    subject: str
    values: dict[str, Any]
    subscriptions: tuple[int, ...] = ()
    charted: Alert | None = None


def content_of(kind: str, payload: Mapping[str, Any]) -> Content:
    """The content of an email. Raises PermanentEmailError for an unknown kind."""
    builders = {
        "alerts": alerts,
        "digest": digest,
        "confirmation": confirmation,
        "expired": expired,
        "manage": manage,
        "test": test,
    }
    if kind not in builders:
        raise PermanentEmailError(f"{kind!r} is not a kind of email")
    return builders[kind](payload)


def slot(name: str | int) -> str:
    """The placeholder of a recipient's own link; a number is the link that ends that one subscription, and SNOOZE with
    a number the one that snoozes it."""
    return f"{SLOT}-{name}-"


def alerts(payload: Mapping[str, Any]) -> Content:
    """All alerts of one user from one evaluation: the largest change first, late alerts below."""
    zone = _zone(payload)
    ranked = sorted(payload["alerts"], key=_importance, reverse=True)
    current = [alert for alert in ranked if not alert["late"]]
    late = sorted((alert for alert in ranked if alert["late"]), key=lambda alert: str(alert["observed_at"]))
    first, *others = current or ranked
    values = {
        "preview": _preview(first, others),
        "demo": _any_demo(ranked),
        "alerts": [_alert_values(alert, zone) for alert in current[:MAX_ALERTS_SHOWN]],
        "more": max(0, len(current) - MAX_ALERTS_SHOWN),
        "late": [_alert_values(alert, zone) for alert in late[-MAX_ALERTS_SHOWN:]],
        "more_late": max(0, len(late) - MAX_ALERTS_SHOWN),
        "held": payload.get("held"),
        "limit_reached": payload.get("limit_reached"),
        "zone": zone.key,
    }
    subject = f"{'' if current else 'Late: '}{headline(first)}{_and_more(others)}"
    return Content(subject, values, _subscriptions(current + late), first if current else None)


def digest(payload: Mapping[str, Any]) -> Content:
    """The alerts of a day or week, grouped by coin."""
    zone = _zone(payload)
    ranked = sorted(payload["alerts"], key=_importance, reverse=True)
    shown = [_alert_values(alert, zone) for alert in ranked[:MAX_ALERTS_SHOWN]]
    by_coin = sorted(shown, key=lambda alert: (alert["coin_name"], alert["base"], alert["observed_at"]))
    first, *others = ranked
    values = {
        "preview": _preview(first, others),
        "demo": _any_demo(ranked),
        "period": payload["period"],
        "number": format_count(len(ranked), "alert"),
        "coins": [(name, list(group)) for name, group in groupby(by_coin, lambda alert: alert["coin_name"])],
        "more": len(ranked) - len(shown),
        "largest": shown[0],
        "limit_reached": payload.get("limit_reached"),
        "zone": zone.key,
    }
    subject = mark_demo(first, f"Your {payload['period']} digest: {summary(first)}{_and_more(others)}")
    return Content(subject, values, _subscriptions(ranked), first)


def confirmation(payload: Mapping[str, Any]) -> Content:
    """Asks for consent to new subscriptions. Its page also lists others that await confirmation."""
    others = payload.get("others", [])
    values = {
        **payload,
        "exchange_label": exchange_label(payload),
        "others": [{**other, "exchange_label": exchange_label(other)} for other in others[:MAX_ALERTS_SHOWN]],
        "number": 1 + len(others),
        "more": len(others[MAX_ALERTS_SHOWN:]),
        "confirm_link": slot(CONFIRM),
        "demo": bool(payload.get("simulated")),
    }
    if others:
        return Content(mark_demo(payload, f"Confirm your {values['number']} price alerts"), values)
    exchange = "" if payload["exchange"] == "index" else f" on {exchange_label(payload)}"
    subject = f"Confirm your {payload['pair']} alert{exchange}: when {payload['condition']}"
    return Content(mark_demo(payload, subject), values)


def expired(payload: Mapping[str, Any]) -> Content:
    """A subscription has reached its end date."""
    pair = f"{payload['base']}/{payload['quote']}"
    values = {
        "pair": pair,
        "exchange_label": exchange_label(payload),
        "condition": condition(payload),
        "demo": bool(payload.get("simulated")),
    }
    return Content(mark_demo(payload, f"Your {pair} alert has ended"), values, (int(payload["subscription_id"]),))


def manage(payload: Mapping[str, Any]) -> Content:
    """The link to the subscriber's own page, requested there or by subscribing to an existing alert again."""
    exists = payload["reason"] == "already"
    subject = f"You already have this alert: {payload['pair']}" if exists else "Your link to coinwatch"
    return Content(subject, {**payload, "exists": exists})


def test(payload: Mapping[str, Any]) -> Content:
    """Shows that notifications arrive; requested on the account page."""
    moment = datetime.fromisoformat(payload["requested_at"])
    zone = _zone(payload)
    return Content("Test notification from coinwatch", {"requested": format_timestamp(moment, zone), "zone": zone.key})


def _alert_values(alert: Alert, zone: ZoneInfo) -> dict[str, Any]:
    return {
        **alert,
        "exchange_label": exchange_label(alert),
        "headline": headline(alert),
        "change_text": change_text(alert),
        "value_label": "Price" if alert["metric"] == "price" else "24 h volume",
        "value": f"{format_value(alert, alert['price'])} {value_unit(alert)}",
        "reference_label": reference_label(alert),
        "reference": f"{format_value(alert, alert['reference'])} {value_unit(alert)}",
        "level": f"{format_value(alert, alert['threshold'])} {value_unit(alert)}"
        if alert["kind"] == "crosses" and not is_step(alert)
        else None,
        "change": format_percent(alert["change_percent"], signed=True),
        "rises": alert["change_percent"] > 0,
        "observed": format_timestamp(datetime.fromisoformat(alert["observed_at"]), zone),
        "observed_minute": format_timestamp(datetime.fromisoformat(alert["observed_at"]), zone, "minutes"),
        "reference_observed": _reference_time(alert, zone),
        "condition": condition(alert),
        "snooze_link": slot(f"{SNOOZE}{int(alert['subscription_id'])}"),
        "repeats": alert.get("repeat", True),
        "unsubscribe_link": slot(int(alert["subscription_id"])),
    }


def _any_demo(ranked: list[Alert]) -> bool:
    return any(alert.get("simulated") for alert in ranked)


def _reference_time(alert: Alert, zone: ZoneInfo) -> str | None:
    if not alert["reference_at"]:
        return None
    moment = datetime.fromisoformat(alert["reference_at"]).astimezone(UTC)
    if not is_extreme(alert):
        return format_timestamp(moment, zone)
    # A high is known from the candle of an hour, or of a UTC day.
    return moment.date().isoformat() if moment.time() == time() else format_timestamp(moment, zone, "minutes")


def _importance(alert: Alert) -> tuple[float, str]:
    """The largest change comes first; of equal ones the latest."""
    return abs(alert["change_percent"]), str(alert["observed_at"])


def _and_more(others: list[Alert]) -> str:
    return f", and {format_count(len(others), 'more alert')}" if others else ""


def _preview(first: Alert, others: list[Alert]) -> str:
    """The line that mail programs show next to the subject: other alerts, or what the only one is compared with."""
    if not others:
        reference = f"{format_value(first, first['reference'])} {value_unit(first)}"
        return f"{reference_label(first)}: {reference}. You set an alert for when {condition(first)}."
    named = ", ".join(map(summary, others[:MAX_ALERTS_IN_PREVIEW]))
    rest = len(others) - MAX_ALERTS_IN_PREVIEW
    return f"Also {named}, and {rest:,} more" if rest > 0 else f"Also {named}"


def _subscriptions(ranked: list[Alert]) -> tuple[int, ...]:
    """Each subscription once, the most important first."""
    return tuple(dict.fromkeys(int(alert["subscription_id"]) for alert in ranked))


def _zone(payload: Mapping[str, Any]) -> ZoneInfo:
    """The recipient's time zone, or UTC if this machine does not know it."""
    try:
        return ZoneInfo(payload.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
