"""A person with wishes and alerts, and the runs that tell them."""

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
    """Somebody with one rule; alerts are put to it as the matcher would."""

    engine: sa.Engine
    email: str
    subscription: int
    observed: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    def wishes(self, now: datetime | None = None, **wishes: object) -> None:
        """Change how this person is told, as the manage page does it."""
        if "digest" in wishes and now is not None:
            wishes["digest_sent_at"] = now
        assignments = ", ".join(f"{name} = :{name}" for name in wishes)
        with transaction(self.engine) as connection:
            connection.execute(
                sa.text(f"UPDATE users SET {assignments} WHERE email = :email"), {"email": self.email, **wishes}
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

    def mails(self) -> list[sa.Row[Any]]:
        with transaction(self.engine) as connection:
            return list(
                connection.execute(
                    sa.text("SELECT * FROM outbox WHERE recipient = :email ORDER BY created_at, id"),
                    {"email": self.email},
                )
            )

    def told(self) -> list[tuple[datetime, list[int]]]:
        """When a mail was queued, and which alerts it tells."""
        return [(row.created_at, [alert["alert_id"] for alert in row.payload["alerts"]]) for row in self.mails()]


def add(engine: sa.Engine, **wishes: object) -> Subscriber:
    email = f"person{next(NUMBERS)}@example.org"
    rule = Rule(threshold=5)
    subscription = subscribe(engine, email=email, coin="BTC", exchange="kraken", rule=rule, now=at(-1), confirmed=True)
    person = Subscriber(engine, email, subscription.id)
    if wishes:
        person.wishes(**wishes)
    return person


def run(engine: sa.Engine, now: datetime, cap: int = 50) -> AlertsResult:
    return store_alerts(engine, now, policy=NotificationPolicy(emails_per_day=cap))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cycles(first: datetime, last: datetime, step: timedelta = timedelta(minutes=15)) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += step
