"""Everything about a person, to take along."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from coinwatch.alerts.rules import METRICS
from coinwatch.database import statement, transaction
from coinwatch.notifications.subscribers import OwnAlert, OwnSubscription, alerts_of, person_in


def export(engine: Engine, user_id: int, now: datetime) -> dict[str, Any]:
    """All that is known of a person, for JSON: plain names, moments ISO 8601 in UTC, changes in percent.

    Raises NotFound.
    """
    with transaction(engine) as connection:
        person = person_in(connection, user_id)
        alerts: dict[int, list[OwnAlert]] = {}
        for alert in reversed(alerts_of(connection, user_id, None, None)):
            alerts.setdefault(alert.subscription_id, []).append(alert)
        mails = connection.execute(statement("notifications/subscribers/mails"), {"user_id": user_id}).mappings().all()
    wishes, held = person.preferences, person.held
    return {
        "exported_at": _iso(now),
        "address": person.email,
        "known_since": _iso(person.created_at),
        "confirmed_at": _iso(person.verified_at),
        "refused_by_mail_server": person.suppressed_at
        and {"at": _iso(person.suppressed_at), "why": person.suppression_reason},
        "has_password": person.has_password,
        "time_zone": wishes.timezone,
        "quiet_hours": wishes.quiet_from and {"from": str(wishes.quiet_from), "until": str(wishes.quiet_until)},
        "digest": wishes.digest,
        "last_digest_at": _iso(person.digest_sent_at),
        "other_channel": person.channel,
        "alerts_held": held and {"why": held.reason, "since": _iso(held.since), "until": _iso(held.until)},
        "subscriptions": [
            _exported(subscription, alerts.get(subscription.id, [])) for subscription in person.subscriptions
        ],
        "mails": [{name: _plain(value) for name, value in mail.items() if name != "recipient"} for mail in mails],
    }


def _exported(subscription: OwnSubscription, alerts: list[OwnAlert]) -> dict[str, Any]:
    return {
        "number": subscription.id,
        "coin": subscription.coin_name,
        "pair": f"{subscription.base}/{subscription.quote}",
        "exchange": subscription.exchange_name,
        "condition": subscription.condition,
        "rule": {
            "kind": subscription.kind,
            "metric": METRICS[subscription.metric],
            "direction": subscription.direction,
            "threshold": subscription.threshold,
            "threshold_unit": "level" if subscription.kind == "crosses" else "percent",
            "window_seconds": subscription.window_seconds,
            "rest_after_alert_seconds": subscription.cooldown_seconds,
            "repeat": subscription.repeat,
            "ends_at": _iso(subscription.expires_at),
        },
        "status": subscription.status,
        "snoozed_until": _iso(subscription.snoozed_until),
        "made_at": _iso(subscription.created_at),
        "alerts": [
            {
                "number": alert.id,
                "observed_at": _iso(alert.observed_at),
                "value": alert.price,
                "compared_with": alert.reference,
                "compared_with_value_of": _iso(alert.reference_at),
                "change_percent": alert.change_percent,
                "unit": alert.unit,
                "found_too_late_to_be_news": alert.late,
                "state": alert.state,
                "mail": alert.mail,
                "mailed_at": _iso(alert.sent_at),
            }
            for alert in alerts
        ],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return _iso(value)
    return value if isinstance(value, dict | str | int | None) else str(value)
