"""Sends alerts to channels other than email: subscribers' own webhooks (notifications/webhooks.py), and apprise.

Apprise (Telegram, Slack, ntfy and many others) is disabled unless COINWATCH_CHANNELS_ENABLED is set. An operator sets a
user's channel to an apprise URL, which contains passwords and tokens. It never appears in a log line, an error or an
outbox row; from apprise's own log lines, only status codes are used. Its messages have no signed links, because several
people may read a channel.

Messages are delivered at least once, like emails (notifications/claims.py). A channel that doesn't respond delays the
others by up to TIMEOUT_SECONDS.
"""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Engine

from coinwatch.addresses import normalize_address
from coinwatch.audit import Actor, record
from coinwatch.clock import Clock, utc_now
from coinwatch.database import statement, transaction
from coinwatch.errors import (
    ChannelRemoved,
    ConfigurationError,
    EmailError,
    InvalidRequest,
    NotFound,
    PermanentEmailError,
    TemporaryEmailError,
)
from coinwatch.formatting import format_timestamp
from coinwatch.notifications.alert_text import Alert, headline
from coinwatch.notifications.claims import ClaimedEmail, Claims, Wait
from coinwatch.notifications.webhooks import send_to_webhook
from coinwatch.settings import Settings

TIMEOUT_SECONDS = 15.0  # per message; well within the lease
CONCURRENT_MESSAGES = 8
MAX_RUN_SECONDS = 60.0  # the next run sends the remaining messages
MAX_ALERTS_SHOWN = 10
SendRow = Callable[[Engine, Settings, ClaimedEmail, datetime], None]
STATUS_CODE = re.compile(r"error=(\d{3})\b")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ChannelResult:
    """How many messages were sent, will be retried, have failed, and were dropped because their channel was removed."""

    sent: int = 0
    retried: int = 0
    failed: int = 0
    dropped: int = 0


def deliver_to_channels(
    engine: Engine, settings: Settings, *, clock: Clock = utc_now, wait: Wait = time.sleep
) -> ChannelResult:
    """Send due messages to other channels. A channel that fails doesn't affect the others. Raises DatabaseError."""
    counts = Counter[str]()
    for channel, send_row in (("webhook", send_to_webhook), ("apprise", _send_to_apprise)):
        counts += _deliver(engine, settings, channel, send_row, clock, wait)
    result = ChannelResult(counts["sent"], counts["retried"], counts["failed"], counts["dropped"])
    if result != ChannelResult():
        log.info(
            "channel messages delivered",
            sent=result.sent,
            retried=result.retried,
            failed=result.failed,
            dropped=result.dropped,
        )
    return result


def _deliver(
    engine: Engine, settings: Settings, channel: str, send_row: SendRow, clock: Clock, wait: Wait
) -> Counter[str]:
    """Send the due messages of one channel; return how many were sent, retried, failed and dropped."""
    counts = Counter[str]()
    deadline = time.monotonic() + MAX_RUN_SECONDS

    def send_or_error(claimed: ClaimedEmail) -> EmailError | None:
        try:
            send_row(engine, settings, claimed, clock())
        except EmailError as error:
            return error
        except ConfigurationError as error:
            return TemporaryEmailError(str(error))
        return None

    with Claims(engine, clock, wait) as claims, ThreadPoolExecutor(CONCURRENT_MESSAGES) as pool:
        while time.monotonic() < deadline and (batch := claims.claim(channel, CONCURRENT_MESSAGES)):
            for claimed, error in zip(batch, pool.map(send_or_error, batch), strict=True):
                if error is None:
                    claims.mark_accepted(claimed)
                    continue
                outcome = claims.mark_error(claimed, error)
                log.warning(
                    f"channel message {outcome}", outbox_id=claimed.id, attempts=claimed.attempts, error=str(error)
                )
                counts[outcome] += 1
        claims.flush()
    counts["sent"] = claims.sent
    return counts


def send(url: str, title: str, body: str, *, seconds: float = TIMEOUT_SECONDS) -> None:
    """Send one message to an apprise URL.

    Raises TemporaryEmailError if the channel doesn't accept it within ``seconds``, PermanentEmailError if apprise
    doesn't support the URL, and ConfigurationError if apprise is not installed.
    """
    service = _service(url)
    results: list[str | None] = []
    # In a thread, because only some of apprise's services respect a timeout.
    sending = threading.Thread(target=lambda: results.append(_notify(service, title, body)), daemon=True)
    sending.start()
    sending.join(seconds)
    if not results:
        raise TemporaryEmailError(f"the channel did not respond within {seconds:g} seconds")
    if results[0] is not None:
        raise TemporaryEmailError(f"the channel did not accept the message{results[0]}")


def set_channel(engine: Engine, email: str, url: str | None, *, actor: Actor | None = None) -> None:
    """Set a user's channel to an apprise URL; None removes it.

    Raises NotFound, and InvalidRequest if apprise doesn't support the URL.
    """
    if url is not None:
        try:
            _service(url)
        except PermanentEmailError as error:
            raise InvalidRequest("url", f"{error}. See https://github.com/caronc/apprise/wiki") from None
    with transaction(engine) as connection:
        parameters = {"email": normalize_address(email), "url": url}
        user_id = connection.execute(statement("alerts/users/set_channel"), parameters).scalar_one_or_none()
        if user_id is None:
            raise NotFound(f"No user has the address {email}. See: coinwatch subscriptions")
        record(connection, actor, "channel.set" if url else "channel.remove", f"subscriber {user_id}")


def get_channel(engine: Engine, email: str) -> str | None:
    """Return a user's channel, an apprise URL that contains secrets, or None. Raises NotFound."""
    with transaction(engine) as connection:
        user = connection.execute(
            statement("notifications/channels/select_channel"), {"email": normalize_address(email), "user_id": None}
        ).one_or_none()
    if user is None:
        raise NotFound(f"No user has the address {email}. See: coinwatch subscriptions")
    return str(user.channel_url) if user.channel_url else None


def message(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Return the title and body for the alerts of an outbox row: a line per alert, the largest change as title."""
    if "alerts" not in payload:
        return "Test notification from coinwatch", "You asked for this test on your account page."
    alerts = sorted(payload["alerts"], key=lambda alert: abs(alert["change_percent"]), reverse=True)
    lines = [_line(alert) for alert in alerts]
    shown, more = lines[:MAX_ALERTS_SHOWN], len(lines) - MAX_ALERTS_SHOWN
    if more > 0:
        shown.append(f"and {more:,} more in the email")
    return lines[0], "\n".join(shown)


def _line(alert: Alert) -> str:
    moment = format_timestamp(datetime.fromisoformat(alert["observed_at"]), timespec="minutes")
    return f"{headline(alert)}, {moment}" + (" (late)" if alert["late"] else "")


def _send_to_apprise(engine: Engine, settings: Settings, claimed: ClaimedEmail, _: datetime) -> None:
    """Send one outbox row. Raises EmailError and ConfigurationError."""
    if not settings.channels_enabled:
        raise ChannelRemoved("channels are disabled (COINWATCH_CHANNELS_ENABLED)")
    with transaction(engine) as connection:
        user = connection.execute(
            statement("notifications/channels/select_channel"), {"email": None, "user_id": claimed.user_id}
        ).one_or_none()
    if user is None or not user.channel_url:
        raise ChannelRemoved("the user's channel was removed")
    send(user.channel_url, *message(claimed.payload))


def _service(url: str) -> Any:
    """The apprise service behind a URL."""
    try:
        import apprise
    except ImportError:
        raise ConfigurationError("Channels other than email require apprise. Install coinwatch[channels].") from None
    logging.getLogger("apprise").propagate = False
    service = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(app_id="coinwatch"))
    if service is None:
        raise PermanentEmailError("apprise doesn't support this kind of URL")
    return service


def _notify(service: Any, title: str, body: str) -> str | None:
    """Return None if the channel accepted the message, else the reason, as far as it contains no secrets."""
    codes = _StatusCodes()
    logger = logging.getLogger("apprise")
    logger.addHandler(codes)
    try:
        accepted = service.notify(title=title, body=body, body_format="text")
    except Exception as error:  # noqa: BLE001 - services raise all kinds of exceptions; the text may contain the URL
        return f": {type(error).__name__}"
    finally:
        logger.removeHandler(codes)
    if accepted:
        return None
    return f": {codes.last}" if codes.last else ""


class _StatusCodes(logging.Handler):
    """Records the last status code that apprise logs in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str | None = None
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and (found := STATUS_CODE.search(record.getMessage())):
            self.last = found[1]
