"""Webhooks of subscribers: their alerts as JSON, signed according to Standard Webhooks (standardwebhooks.com).

Each message has the headers ``webhook-id`` (the same for every attempt), ``webhook-timestamp`` (seconds) and
``webhook-signature``: ``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``, with a key that only the
receiver knows. Messages are delivered at least once, from the outbox (notifications/channels.py).
"""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine

from coinwatch import __version__
from coinwatch.database import statement, transaction
from coinwatch.errors import ChannelRemoved, InvalidRequest, NotFound, TemporaryEmailError
from coinwatch.notifications.alert_text import Alert, condition, headline, value_unit
from coinwatch.notifications.claims import ClaimedEmail
from coinwatch.notifications.public_http import check_url, post
from coinwatch.settings import Settings

SECRET_PREFIX = "whsec_"  # noqa: S105  the format, not a secret
SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)  # after a change of the secret, messages are signed with both
TIMEOUT_SECONDS = 10.0
GONE = 410


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a subscriber's alerts are also sent. ``secrets`` sign the messages, the current one first.

    ``disabled_at`` is set once the receiver has responded that it is gone.
    """

    url: str
    secrets: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None

    @property
    def host(self) -> str:
        """The URL without its path and query, which may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def get_webhook(engine: Engine, user_id: int, now: datetime) -> Webhook | None:
    """Return a user's webhook, None if there is none."""
    with transaction(engine) as connection:
        return webhook_of(connection, user_id, now)


def webhook_of(connection: Connection, user_id: int, now: datetime) -> Webhook | None:
    """``get_webhook`` within a transaction."""
    row = connection.execute(statement("notifications/webhooks/select_webhook"), {"user_id": user_id}).one_or_none()
    if row is None:
        return None
    both = row.previous_until is not None and row.previous_until > now
    keys = (row.secret, row.previous_secret) if both else (row.secret,)
    return Webhook(row.url, keys, row.created_at, row.disabled_at)


def set_webhook(engine: Engine, settings: Settings, user_id: int, url: str, now: datetime) -> None:
    """Set the URL of a user's webhook; a new webhook gets a secret. Raises InvalidRequest if the URL is not allowed."""
    if not settings.webhooks_enabled:
        raise InvalidRequest("url", "Webhooks are disabled on this site.")
    url = check_url(url, allow_private=settings.webhooks_allow_private)
    parameters = {"user_id": user_id, "url": url, "secret": new_secret(), "now": now}
    with transaction(engine) as connection:
        connection.execute(statement("notifications/webhooks/set_webhook"), parameters)


def rotate_secret(engine: Engine, user_id: int, now: datetime) -> None:
    """Replace the secret; messages are signed with both for a day. Raises NotFound if there is no webhook."""
    parameters = {"user_id": user_id, "secret": new_secret(), "previous_until": now + OVERLAP}
    with transaction(engine) as connection:
        if not connection.execute(statement("notifications/webhooks/rotate_secret"), parameters).rowcount:
            raise NotFound("There is no webhook.")


def delete_webhook(engine: Engine, user_id: int) -> None:
    """Delete a user's webhook with its secret; queued messages are dropped."""
    with transaction(engine) as connection:
        connection.execute(statement("notifications/webhooks/delete_webhook"), {"user_id": user_id})


def send_to_webhook(engine: Engine, settings: Settings, claimed: ClaimedEmail, now: datetime) -> None:
    """Send one outbox row to its user's webhook.

    Raises ChannelRemoved if there is none (anymore), and TemporaryEmailError unless the response is 2xx. A receiver
    that responds 410 is gone: its webhook is disabled.
    """
    if not settings.webhooks_enabled:
        raise ChannelRemoved("webhooks are disabled (COINWATCH_WEBHOOKS_ENABLED)")
    webhook = get_webhook(engine, claimed.user_id, now)
    if webhook is None or webhook.disabled_at is not None:
        raise ChannelRemoved("the user's webhook was removed")
    body = json.dumps(message(claimed), ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"coinwatch/{__version__}",
        **signature_headers(f"msg_{claimed.message_id.hex}", now, body, webhook.secrets),
    }
    status = post(webhook.url, body, headers, seconds=TIMEOUT_SECONDS, allow_private=settings.webhooks_allow_private)
    if status == GONE:
        with transaction(engine) as connection:
            parameters = {"user_id": claimed.user_id, "url": webhook.url, "now": now}
            connection.execute(statement("notifications/webhooks/disable_webhook"), parameters)
        raise ChannelRemoved("the receiver responded 410: it is gone")
    if not 200 <= status < 300:
        hint = "; redirects are not followed" if 300 <= status < 400 else ""
        raise TemporaryEmailError(f"the receiver responded {status}{hint}")


def message(claimed: ClaimedEmail) -> dict[str, Any]:
    """The body of a message: its type, when it was queued, and the alerts, oldest first."""
    alerts = claimed.payload.get("alerts", [])
    data = {"alerts": [_alert(alert) for alert in alerts]} if alerts else {"text": "Your webhook works."}
    return {
        "type": "alerts.fired" if alerts else "test",
        "timestamp": _iso(claimed.created_at),
        "data": data,
    }


def signature_headers(message_id: str, now: datetime, body: bytes, keys: tuple[str, ...]) -> dict[str, str]:
    """The headers by which a receiver verifies a message: one signature for each valid secret."""
    timestamp = str(int(now.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1,"
        + base64.b64encode(hmac.digest(base64.b64decode(key.removeprefix(SECRET_PREFIX)), signed, "sha256")).decode()
        for key in keys
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def new_secret() -> str:
    """A random secret in the format of Standard Webhooks."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _alert(alert: Alert) -> Mapping[str, Any]:
    """One alert; values are numbers in ``unit``, changes in percent, times in UTC."""
    return {
        "id": alert["alert_id"],
        "subscription_id": alert["subscription_id"],
        "text": headline(alert),
        "coin": alert["base"],
        "quote": alert["quote"],
        "exchange": alert["exchange"],
        "kind": alert["kind"],
        "metric": alert["metric"],
        "condition": condition(alert),
        "value": alert["price"],
        "unit": value_unit(alert),
        "reference": alert["reference"],
        "change_percent": alert["change_percent"],
        "observed_at": _iso(datetime.fromisoformat(alert["observed_at"])),
        "late": alert["late"],
        "simulated": bool(alert.get("simulated")),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
