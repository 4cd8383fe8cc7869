"""Alerts on other channels than email, through apprise: webhooks, Telegram, Slack, ntfy and about a hundred others.

Off unless COINWATCH_CHANNELS_ENABLED. An operator sets a user's channel as an apprise URL, which contains passwords and
tokens: it never appears in a log line, an error or an outbox row, and of what apprise logs only status codes are kept.
Messages have no signed links, because several people may read a channel.

Delivery works like that of emails (notifications/claims.py): at least once, and a channel that does not answer holds up
the others for SECONDS at most.
"""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Engine

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
from coinwatch.settings import Settings

SECONDS = 15.0  # for one message, well within the lease
CONCURRENT_MESSAGES = 8
MAX_RUN_SECONDS = 60.0  # then the rest is left to the next run
MAX_ALERTS_SHOWN = 10
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
    """Send what is due on other channels; one that fails does not hold up the others. Raises DatabaseError."""
    counts = Counter[str]()
    deadline = time.monotonic() + MAX_RUN_SECONDS
    with Claims(engine, clock, wait) as claims, ThreadPoolExecutor(CONCURRENT_MESSAGES) as pool:
        while time.monotonic() < deadline and (batch := claims.claim("apprise", CONCURRENT_MESSAGES)):
            errors = pool.map(lambda claimed: _send_claimed(engine, settings, claimed), batch)
            for claimed, error in zip(batch, errors, strict=True):
                if error is None:
                    claims.mark_accepted(claimed)
                    continue
                outcome = claims.mark_error(claimed, error)
                log.warning(
                    f"channel message {outcome}", outbox_id=claimed.id, attempts=claimed.attempts, error=str(error)
                )
                counts[outcome] += 1
        claims.flush()
    result = ChannelResult(claims.sent, counts["retried"], counts["failed"], counts["dropped"])
    if result != ChannelResult():
        log.info(
            "channel messages delivered",
            sent=result.sent,
            retried=result.retried,
            failed=result.failed,
            dropped=result.dropped,
        )
    return result


def send(url: str, title: str, body: str, *, seconds: float = SECONDS) -> None:
    """Send one message to an apprise URL.

    Raises TemporaryEmailError if the channel does not accept it within ``seconds``, PermanentEmailError if apprise does
    not know the URL, and ConfigurationError if apprise is not installed.
    """
    service = _service(url)
    results: list[str | None] = []
    # A thread, because only some of apprise's services respect a timeout.
    sending = threading.Thread(target=lambda: results.append(_notify(service, title, body)), daemon=True)
    sending.start()
    sending.join(seconds)
    if not results:
        raise TemporaryEmailError(f"the channel did not answer within {seconds:g} seconds")
    if results[0] is not None:
        raise TemporaryEmailError(f"the channel did not accept the message{results[0]}")


def set_channel(engine: Engine, email: str, url: str | None) -> None:
    """Set a user's channel to an apprise URL, or remove it.

    Raises NotFound; InvalidRequest if apprise does not know the URL.
    """
    if url is not None:
        try:
            _service(url)
        except PermanentEmailError as error:
            raise InvalidRequest("url", f"{error}. See https://github.com/caronc/apprise/wiki") from None
    with transaction(engine) as connection:
        if not connection.execute(statement("alerts/users/set_channel"), {"email": email, "url": url}).rowcount:
            raise NotFound(f"No user has the address {email}. See: coinwatch subscriptions")


def get_channel(engine: Engine, email: str) -> str | None:
    """A user's channel as an apprise URL, which is a secret; None if there is none. Raises NotFound."""
    with transaction(engine) as connection:
        user = connection.execute(
            statement("notifications/channels/select_channel"), {"email": email, "user_id": None}
        ).one_or_none()
    if user is None:
        raise NotFound(f"No user has the address {email}. See: coinwatch subscriptions")
    return str(user.channel_url) if user.channel_url else None


def message(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Title and body for the alerts of an outbox row: the largest change is the title, and each alert has a line."""
    alerts = sorted(payload["alerts"], key=lambda alert: abs(alert["change_percent"]), reverse=True)
    lines = [_line(alert) for alert in alerts]
    rest = len(lines) - MAX_ALERTS_SHOWN
    return lines[0], "\n".join([*lines[:MAX_ALERTS_SHOWN], *([f"and {rest:,} more in the email"] if rest > 0 else [])])


def _line(alert: Alert) -> str:
    moment = format_timestamp(datetime.fromisoformat(alert["observed_at"]), timespec="minutes")
    return f"{headline(alert)}, {moment}" + (" (late)" if alert["late"] else "")


def _send_claimed(engine: Engine, settings: Settings, claimed: ClaimedEmail) -> EmailError | None:
    """Send one row; return why it was not accepted."""
    try:
        if not settings.channels_enabled:
            raise ChannelRemoved("other channels are switched off (COINWATCH_CHANNELS_ENABLED)")
        with transaction(engine) as connection:
            user = connection.execute(
                statement("notifications/channels/select_channel"), {"email": None, "user_id": claimed.user_id}
            ).one_or_none()
        if user is None or not user.channel_url:
            raise ChannelRemoved("the user's channel was removed")
        send(user.channel_url, *message(claimed.payload))
    except EmailError as error:
        return error
    except ConfigurationError as error:
        return TemporaryEmailError(str(error))
    return None


def _service(url: str) -> Any:
    """The apprise service behind a URL."""
    try:
        import apprise
    except ImportError:
        raise ConfigurationError("Other channels than email need apprise. Install coinwatch[channels].") from None
    logging.getLogger("apprise").propagate = False
    service = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(app_id="coinwatch"))
    if service is None:
        raise PermanentEmailError("apprise does not know this kind of channel URL")
    return service


def _notify(service: Any, title: str, body: str) -> str | None:
    """None if the channel accepted the message, else what can be said about the reason without revealing secrets."""
    codes = _StatusCodes()
    logger = logging.getLogger("apprise")
    logger.addHandler(codes)
    try:
        accepted = service.notify(title=title, body=body, body_format="text")
    except Exception as error:  # noqa: BLE001 - a hundred services raise anything, and its text may contain the URL
        return f": {type(error).__name__}"
    finally:
        logger.removeHandler(codes)
    if accepted:
        return None
    return f": {codes.last}" if codes.last else ""


class _StatusCodes(logging.Handler):
    """Keeps only the status codes of what apprise logs in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str | None = None
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and (found := STATUS_CODE.search(record.getMessage())):
            self.last = found[1]
