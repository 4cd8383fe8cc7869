"""Test notifications that subscribers send to themselves, through the outbox like their alerts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.alerts.users import ERASED, lock_user
from coinwatch.database import statement, transaction
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.settings import Settings

PER_HOUR = 5


@dataclass(frozen=True, slots=True)
class TestNotification:
    """The newest test on a channel (email, webhook, apprise); ``status`` is one of outbox.STATES."""

    __test__ = False  # not a test of pytest

    channel: str
    status: str
    created_at: datetime
    sent_at: datetime | None
    last_error: str | None


def queue_test(engine: Engine, settings: Settings, user_id: int, now: datetime) -> None:
    """Queue a test on all channels of a user. Raises InvalidRequest above PER_HOUR, and NotFound."""
    with transaction(engine) as connection:
        if not lock_user(connection, user_id):
            raise NotFound(ERASED)
        query = statement("notifications/tests/count_tests")
        recent = connection.execute(query, {"user_id": user_id, "since": now - timedelta(hours=1)}).one()
        if recent.number >= PER_HOUR:
            minutes = max(1, -int((now - timedelta(hours=1) - recent.first_at).total_seconds() // 60))
            raise InvalidRequest(
                "test", f"You can send {PER_HOUR} test notifications an hour. Try again in {minutes} min."
            )
        parameters = {
            "user_id": user_id,
            "now": now,
            "channels": settings.channels_enabled,
            "webhooks": settings.webhooks_enabled,
        }
        connection.execute(statement("notifications/tests/queue_test"), parameters)


def list_tests(engine: Engine, user_id: int) -> list[TestNotification]:
    """Return the newest test of a user on each channel, by the channel's name."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("notifications/tests/select_tests"), {"user_id": user_id}).mappings()
        return [TestNotification(**row) for row in rows]
