"""Exports all data about a subscriber."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from coinwatch.alerts.rules import METRICS
from coinwatch.alerts.sessions import list_sessions
from coinwatch.alerts.subscriptions import Subscription
from coinwatch.database import statement, transaction
from coinwatch.notifications.subscribers import FiredAlert, alerts_of, subscriber_in
from coinwatch.notifications.webhooks import webhook_of


def export(engine: Engine, user_id: int, now: datetime) -> dict[str, Any]:
    """Return all data about a user as a dict for JSON: times in ISO 8601 and UTC, changes in percent.

    Raises NotFound.
    """
    with transaction(engine) as connection:
        subscriber = subscriber_in(connection, user_id)
        alerts: dict[int, list[FiredAlert]] = {}
        for alert in reversed(alerts_of(connection, user_id)):
            alerts.setdefault(alert.subscription_id, []).append(alert)
        query = statement("notifications/subscribers/select_emails")
        emails = connection.execute(query, {"user_id": user_id}).mappings().all()
        sessions = list_sessions(connection, user_id, now)
        webhook = webhook_of(connection, user_id, now)
    settings, held = subscriber.preferences, subscriber.held
    return {
        "exported_at": _iso(now),
        "email": subscriber.email,
        "created_at": _iso(subscriber.created_at),
        "confirmed_at": _iso(subscriber.verified_at),
        "suppressed": subscriber.suppressed_at
        and {"at": _iso(subscriber.suppressed_at), "reason": subscriber.suppression_reason},
        "time_zone": settings.timezone,
        "quiet_hours": settings.quiet_from and {"from": str(settings.quiet_from), "until": str(settings.quiet_until)},
        "digest": settings.digest,
        "last_digest_at": _iso(subscriber.digest_sent_at),
        "other_channel": subscriber.channel,
        "webhook": webhook and {"host": webhook.host, "created_at": _iso(webhook.created_at)},
        "sessions": [
            {
                "started_at": _iso(session.created_at),
                "last_seen_at": _iso(session.last_seen_at),
                "expires_at": _iso(session.expires_at),
            }
            for session in sessions
        ],
        "alerts_held": held and {"reason": held.reason, "since": _iso(held.since), "until": _iso(held.until)},
        "subscriptions": [
            _subscription(subscription, alerts.get(subscription.id, [])) for subscription in subscriber.subscriptions
        ],
        "emails": [{name: _plain(value) for name, value in email.items() if name != "recipient"} for email in emails],
    }


def _subscription(subscription: Subscription, alerts: list[FiredAlert]) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "coin": subscription.coin_name,
        "pair": subscription.pair,
        "exchange": subscription.exchange_name,
        "condition": subscription.condition,
        "rule": {
            "kind": subscription.kind,
            "metric": METRICS[subscription.metric],
            "direction": subscription.direction,
            "threshold": subscription.threshold,
            "threshold_unit": "level" if subscription.kind == "crosses" else "percent",
            "window_seconds": subscription.window_seconds,
            "period": subscription.period,
            "ladder_percent": subscription.ladder_percent,
            "cooldown_seconds": subscription.cooldown_seconds,
            "repeat": subscription.repeat,
            "expires_at": _iso(subscription.expires_at),
        },
        "status": subscription.status,
        "snoozed_until": _iso(subscription.snoozed_until),
        "created_at": _iso(subscription.created_at),
        "alerts": [_alert(alert) for alert in alerts],
    }


def _alert(alert: FiredAlert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "observed_at": _iso(alert.observed_at),
        "value": alert.price,
        "reference": alert.reference,
        "reference_at": _iso(alert.reference_at),
        "change_percent": alert.change_percent,
        "steps": alert.steps,
        "unit": alert.unit,
        "late": alert.late,
        "state": alert.state,
        "email_status": alert.email_status,
        "email_sent_at": _iso(alert.sent_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return _iso(value)
    return value if isinstance(value, dict | str | int | None) else str(value)
