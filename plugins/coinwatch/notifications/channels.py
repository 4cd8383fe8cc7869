"""Alerts on other channels than mail, through apprise: webhooks, Telegram, Slack, ntfy and a hundred others.

Off unless COINWATCH_CHANNELS_ENABLED. An operator gives a person a channel by its apprise address, which holds
passwords and tokens: it is in no log line, no error and no row of the outbox, and nothing that apprise logs goes
further than the status code in it. Messages have no signed links, because more people than one may read a channel.

Claims, leases and marks are those of mail (mail/claims.py): at least once, and a channel that does not answer keeps
nobody back for longer than SECONDS.
"""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from coinwatch.formatting import format_price
from coinwatch.mail.delivery import MOST_ATTEMPTS, retry_pause
from coinwatch.mail.formatting import news, place, unit
from coinwatch.notifications.claims import ClaimedEmail, Claims, Wait
from coinwatch.settings import Settings

SECONDS = 15.0  # for one message, well within the lease
AT_ONCE = 8
SECONDS_AT_MOST = 60.0  # after which a run leaves what is due to the next one
SHOWN = 10
STATUS_CODE = re.compile(r"error=(\d{3})\b")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ChannelResult:
    """Messages taken by the channels, to be tried again, given up, and dropped because their channel is gone."""

    sent: int = 0
    retried: int = 0
    failed: int = 0
    dropped: int = 0


def deliver_to_channels(
    engine: Engine, settings: Settings, *, clock: Clock = utc_now, wait: Wait = time.sleep
) -> ChannelResult:
    """Send what is due on other channels; one that fails never keeps back the others. Raises DatabaseError."""
    claims, counts = Claims(engine, clock, wait), Counter[str]()
    ends = time.monotonic() + SECONDS_AT_MOST
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while rows := claims.take("apprise", AT_ONCE):
                for row, error in zip(rows, pool.map(lambda row: _try(engine, settings, row), rows), strict=True):
                    counts[_mark(claims, row, error, clock)] += 1
                if time.monotonic() > ends:
                    break
    finally:
        claims.give_back()
    result = ChannelResult(claims.sent, counts["retried"], counts["failed"], counts["dropped"])
    if counts:
        log.info(
            "channels told", sent=result.sent, retried=result.retried, failed=result.failed, dropped=result.dropped
        )
    return result


def send(url: str, title: str, body: str, *, seconds: float = SECONDS) -> None:
    """Send one message to an apprise address.

    Raises TemporaryEmailError when the other side does not take it within ``seconds``, PermanentEmailError when the
    address is none that apprise knows, ConfigurationError when apprise is not installed.
    """
    service = _service(url)
    answers: list[str | None] = []

    def run() -> None:
        answers.append(_told(service, title, body))

    # A thread, because only some of apprise's hundred services keep to a time-out.
    sending = threading.Thread(target=run, daemon=True)
    sending.start()
    sending.join(seconds)
    if not answers:
        raise TemporaryEmailError(f"the channel did not answer within {seconds:g} seconds")
    if answers[0] is not None:
        raise TemporaryEmailError(f"the channel did not take the message{answers[0]}")


def set_channel(engine: Engine, email: str, url: str | None) -> None:
    """Give a person another channel, or take it away. Raises NotFound; InvalidRequest where apprise knows no such."""
    if url is not None:
        try:
            _service(url)
        except PermanentEmailError as error:
            raise InvalidRequest("url", f"{error}. See https://github.com/caronc/apprise/wiki") from None
    with transaction(engine) as connection:
        if not connection.execute(statement("alerts/users/set_channel"), {"email": email, "url": url}).rowcount:
            raise NotFound(f"Nobody has the address {email}. See: coinwatch subscriptions")


def get_channel(engine: Engine, email: str) -> str | None:
    """A person's other channel by its apprise address, which is a secret; None where there is none. NotFound."""
    with transaction(engine) as connection:
        person = connection.execute(
            statement("notifications/channels/select_channel"), {"email": email, "user_id": None}
        ).one_or_none()
    if person is None:
        raise NotFound(f"Nobody has the address {email}. See: coinwatch subscriptions")
    return str(person.channel_url) if person.channel_url else None


def message(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Title and body of the alerts of one outbox row: the largest change is the title, a line tells each."""
    alerts = sorted(payload["alerts"], key=lambda alert: abs(alert["change_percent"]), reverse=True)
    lines = [_line(alert) for alert in alerts]
    rest = len(lines) - SHOWN
    return lines[0], "\n".join([*lines[:SHOWN], *([f"and {rest:,} more, in the mail"] if rest > 0 else [])])


def _line(alert: Mapping[str, Any]) -> str:
    moment = str(alert["observed_at"])[:16].replace("T", " ")
    told = f"{alert['base']} {news(alert)}: {format_price(alert['price'])} {unit(alert)} on {place(alert)}"
    return f"{told}, {moment} UTC" + (" (told late)" if alert["late"] else "")


def _try(engine: Engine, settings: Settings, row: ClaimedEmail) -> EmailError | None:
    """Send one row; why it was not taken."""
    try:
        if not settings.channels_enabled:
            raise ChannelRemoved("other channels than mail are switched off (COINWATCH_CHANNELS_ENABLED)")
        with transaction(engine) as connection:
            person = connection.execute(
                statement("notifications/channels/select_channel"), {"email": None, "user_id": row.user_id}
            ).one_or_none()
        if person is None or not person.channel_url:
            raise ChannelRemoved("the person has no other channel any more")
        send(person.channel_url, *message(row.payload))
    except EmailError as error:
        return error
    except ConfigurationError as error:
        return TemporaryEmailError(str(error))
    return None


def _mark(claims: Claims, row: ClaimedEmail, error: EmailError | None, clock: Clock) -> str:
    """Write down what became of a row; the name under which it is counted."""
    if error is None:
        claims.accepted(row)
        return "sent"
    log.warning("channel not told", outbox_id=row.id, attempts=row.attempts, error=str(error))
    if isinstance(error, ChannelRemoved):
        claims.mark_dropped(row, str(error))
        return "dropped"
    if isinstance(error, PermanentEmailError):
        claims.mark_failed(row, str(error))
        return "failed"
    if row.attempts >= MOST_ATTEMPTS:
        claims.mark_failed(row, f"given up after {row.attempts} attempts: {error}")
        return "failed"
    claims.mark_retry(row, clock() + retry_pause(row.attempts), str(error))
    return "retried"


def _service(url: str) -> Any:
    """What apprise makes of an address."""
    try:
        import apprise
    except ImportError:
        raise ConfigurationError("Other channels than mail need apprise. Install: coinwatch[channels]") from None
    logging.getLogger("apprise").propagate = False
    service = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(app_id="coinwatch"))
    if service is None:
        raise PermanentEmailError("the channel's address is none that apprise knows")
    return service


def _told(service: Any, title: str, body: str) -> str | None:
    """None when the other side took the message, else what can be said of the reason without its secrets."""
    codes = _StatusCodes()
    logger = logging.getLogger("apprise")
    logger.addHandler(codes)
    try:
        taken = service.notify(title=title, body=body, body_format="text")
    except Exception as error:  # noqa: BLE001, a hundred services raise what they like; its text may hold the address
        return f": {type(error).__name__}"
    finally:
        logger.removeHandler(codes)
    if taken:
        return None
    return f": {codes.last}" if codes.last else ""


class _StatusCodes(logging.Handler):
    """Of what apprise logs in this thread only the status codes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: str | None = None
        self._ours = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._ours and (found := STATUS_CODE.search(record.getMessage())):
            self.last = found[1]
