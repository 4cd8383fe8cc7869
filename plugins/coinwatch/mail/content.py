"""What a mail of each kind says, as values for its templates; the same for everybody whom the same thing is told.

What differs from person to person is left open: a slot stands where a link or an address goes that is theirs alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from coinwatch.errors import PermanentEmailError
from coinwatch.formatting import format_count, format_percent, format_price
from coinwatch.mail.formatting import (
    local,
    news,
    place,
    reference_name,
    rule_in_words,
    short_local,
    unit,
    zone_named,
)

SHOWN = 30  # alerts of one mail; more are on the manage page
NAMED_IN_PREVIEW = 3
# Characters for private use, which no name and no rule has.
OPENS, CLOSES = "\ue000", "\ue001"
MANAGE, UNSUBSCRIBE, CONFIRM, CHART = "manage", "unsubscribe", "confirm", "chart"


@dataclass(frozen=True, slots=True)
class Content:
    """What a mail says: ``leaves`` are the subscriptions that its unsubscribe link ends, ``pictured`` an alert."""

    subject: str
    values: dict[str, Any]
    leaves: tuple[int, ...] = ()
    pictured: Mapping[str, Any] | None = None


def content_of(kind: str, payload: Mapping[str, Any]) -> Content:
    """The content of a mail. Raises PermanentEmailError for an unknown kind."""
    builders = {
        "alerts": _alerts,
        "digest": _digest,
        "confirmation": _confirmation,
        "expired": _expired,
        "manage": _manage,
    }
    if kind not in builders:
        raise PermanentEmailError(f"there is no mail of kind {kind!r}")
    return builders[kind](payload)


def slot(name: str | int) -> str:
    """What stands in a text until ``name`` is filled in; a number is the link that ends that subscription."""
    return f"{OPENS}{name}{CLOSES}"


def _alerts(payload: Mapping[str, Any]) -> Content:
    zone = zone_named(payload.get("timezone", "UTC"))
    ranked = sorted(payload["alerts"], key=_importance, reverse=True)
    fresh = [alert for alert in ranked if not alert["late"]]
    late = sorted((alert for alert in ranked if alert["late"]), key=lambda alert: str(alert["observed_at"]))
    alerts = [_shown(alert, zone) for alert in fresh[:SHOWN]]
    for alert in alerts:
        alert["unsubscribe_link"] = slot(int(alert["subscription_id"]))
    if alerts:
        subject = _headline(fresh[0])
        preview = f"Also {_preview(fresh[1:])}" if len(fresh) > 1 else _compared(alerts[0])
        subject += _and_more(len(fresh) - 1)
    else:
        subject = f"Missed: {_named(ranked[0])}{_and_more(len(late) - 1)}"
        preview = _preview(ranked[1:]) if len(late) > 1 else _compared(_shown(ranked[0], zone))
    values = {
        "preview": preview,
        "alerts": alerts,
        "more": len(fresh) - len(alerts),
        "late": [_shown(alert, zone) for alert in late[-SHOWN:]],
        "more_late": max(0, len(late) - SHOWN),
        "held": payload.get("held"),
        "limit_reached": payload.get("limit_reached"),
        "zone": zone.key,
    }
    return Content(subject, values, _subscriptions(fresh + late), (fresh or [None])[0])


def _digest(payload: Mapping[str, Any]) -> Content:
    zone = zone_named(payload.get("timezone", "UTC"))
    ranked = sorted(payload["alerts"], key=_importance, reverse=True)
    shown = [_shown(alert, zone) for alert in ranked[:SHOWN]]
    by_coin = sorted(shown, key=lambda alert: (alert["coin_name"], alert["base"], alert["observed_at"]))
    period = "week" if payload["period"] == "weekly" else "day"
    values = {
        "preview": _preview(ranked[1:]) if len(ranked) > 1 else _compared(shown[0]),
        "period": period,
        "number": format_count(len(ranked), "alert"),
        "coins": [(name, list(alerts)) for name, alerts in groupby(by_coin, lambda alert: alert["coin_name"])],
        "more": len(ranked) - len(shown),
        "largest": shown[0],
        "limit_reached": payload.get("limit_reached"),
        "zone": zone.key,
    }
    subject = f"Your {period}: {_named(ranked[0])}{_and_more(len(ranked) - 1)}"
    return Content(subject, values, _subscriptions(ranked), ranked[0])


def _confirmation(payload: Mapping[str, Any]) -> Content:
    values = {**payload, "place": place(payload), "link": slot(CONFIRM)}
    return Content(f"Confirm your price alert for {payload['pair']}", values)


def _expired(payload: Mapping[str, Any]) -> Content:
    values = {**payload, "place": place(payload), "rule": rule_in_words(payload)}
    subject = f"Your alert for {payload['base']}/{payload['quote']} has ended"
    return Content(subject, values, (int(payload["subscription_id"]),))


def _manage(payload: Mapping[str, Any]) -> Content:
    already = payload["reason"] == "already"
    subject = f"You have this alert already: {payload['pair']}" if already else "Your link to your price alerts"
    return Content(subject, {**payload, "already": already})


def _shown(alert: Mapping[str, Any], zone: Any) -> dict[str, Any]:
    """The fields of one alert as the templates show them."""
    return {
        **alert,
        "place": place(alert),
        "price": format_price(alert["price"]),
        "reference": format_price(alert["reference"]),
        "level": format_price(alert["threshold"]) if alert["kind"] == "crosses" else None,
        "unit": unit(alert),
        "change": format_percent(alert["change_percent"], signed=True),
        "news": news(alert),
        "compared_with": reference_name(alert),
        "rises": alert["change_percent"] > 0,
        "observed": local(alert["observed_at"], zone),
        "observed_short": short_local(alert["observed_at"], zone),
        "referred": local(alert["reference_at"], zone),
        "rule": rule_in_words(alert),
    }


def _importance(alert: Mapping[str, Any]) -> tuple[float, str]:
    """The largest change is the news; of equal ones the latest."""
    return abs(alert["change_percent"]), str(alert["observed_at"])


def _headline(alert: Mapping[str, Any]) -> str:
    return f"{_named(alert)}: {format_price(alert['price'])} {unit(alert)} on {place(alert)}"


def _named(alert: Mapping[str, Any]) -> str:
    return f"{alert['base']} {news(alert)}"


def _and_more(number: int) -> str:
    return f", and {format_count(number, 'more alert')}" if number else ""


def _preview(alerts: list[Mapping[str, Any]]) -> str:
    """What a phone shows under the subject: the news after it."""
    rest = len(alerts) - NAMED_IN_PREVIEW
    named = ", ".join(map(_named, alerts[:NAMED_IN_PREVIEW]))
    return f"{named}, and {rest:,} more" if rest > 0 else named


def _compared(alert: Mapping[str, Any]) -> str:
    return f"{alert['compared_with']}: {alert['reference']} {alert['unit']}. You asked to hear when {alert['rule']}."


def _subscriptions(alerts: list[Mapping[str, Any]]) -> tuple[int, ...]:
    """Each once, the most important first."""
    return tuple(dict.fromkeys(int(alert["subscription_id"]) for alert in alerts))
