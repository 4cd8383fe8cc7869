"""Subscribers with notification settings and alerts, and runs that notify them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.notifications.notify import NotificationPolicy
from coinwatch.pipeline import AlertsResult, store_alerts
from tests.support.quotes import at
from tests.support.subscriptions import subscribe

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NUMBERS = count(1)


@dataclass
class Subscriber:
    """A user with one subscription; alerts are inserted as the evaluation does."""

    engine: sa.Engine
    email: str
    subscription: int
    observed: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    def set(self, now: datetime | None = None, **settings: object) -> None:
        """Change the notification settings (columns of users), as the manage page does."""
        if "digest" in settings and now is not None:
            settings["digest_sent_at"] = now
        assignments = ", ".join(f"{name} = :{name}" for name in settings)
        with transaction(self.engine) as connection:
            connection.execute(
                sa.text(f"UPDATE users SET {assignments} WHERE email = :email"), {"email": self.email, **settings}
            )

    def alert(self, now: datetime, *, late: bool = False) -> int:
        self.observed += timedelta(seconds=1)
        with transaction(self.engine) as connection:
            return connection.execute(
                sa.text(
                    "INSERT INTO alerts (subscription_id, observed_at, price, reference, reference_at, change_percent, "
                    "late, created_at) "
                    "VALUES (:subscription, :observed, 105, 100, :observed, 5, :late, :now) RETURNING id"
                ),
                {"subscription": self.subscription, "observed": self.observed, "late": late, "now": now},
            ).scalar_one()

    def emails(self) -> list[sa.Row[Any]]:
        with transaction(self.engine) as connection:
            return list(
                connection.execute(
                    sa.text("SELECT * FROM outbox WHERE recipient = :email ORDER BY created_at, id"),
                    {"email": self.email},
                )
            )

    def notifications(self) -> list[tuple[datetime, list[int]]]:
        """When each email was queued, and the ids of its alerts."""
        return [(row.created_at, [alert["alert_id"] for alert in row.payload["alerts"]]) for row in self.emails()]


def add(engine: sa.Engine, **settings: object) -> Subscriber:
    email = f"user{next(NUMBERS)}@example.org"
    rule = Rule(threshold=5)
    subscription = subscribe(engine, email=email, coin="BTC", exchange="kraken", rule=rule, now=at(-1), confirmed=True)
    subscriber = Subscriber(engine, email, subscription.id)
    if settings:
        subscriber.set(**settings)
    return subscriber


def run(engine: sa.Engine, now: datetime, emails_per_day: int = 50) -> AlertsResult:
    return store_alerts(engine, now, policy=NotificationPolicy(emails_per_day=emails_per_day))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cycles(first: datetime, last: datetime, step: timedelta = timedelta(minutes=15)) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += step
