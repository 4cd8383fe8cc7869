"""Reads a subscriber's address, settings, subscriptions and alerts."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from coinwatch.alerts.rules import Metric
from coinwatch.alerts.subscriptions import Subscription, subscriptions_of
from coinwatch.alerts.users import ERASED
from coinwatch.database import statement, transaction
from coinwatch.errors import NotFound
from coinwatch.notifications.preferences import Preferences

ALERTS_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Held:
    """Why alerts of a user are held (digest, quiet_hours, daily_limit, late, suppressed), and since when.

    ``until`` is when the user is checked again: in the next run if it is in the past; if it is None, when a new alert
    fires or the user changes their settings.
    """

    reason: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A user with their subscriptions.

    ``verified_at`` is when the address was confirmed. ``channel`` is the scheme of the user's other channel; the rest
    of its URL is secret. ``suppressed_at`` and ``suppression_reason`` are set while the address gets no email because
    of a bounce or complaint.
    """

    id: int
    email: str
    created_at: datetime
    verified_at: datetime | None
    preferences: Preferences
    digest_sent_at: datetime | None
    channel: str | None
    suppressed_at: datetime | None
    suppression_reason: str | None
    held: Held | None
    subscriptions: list[Subscription]


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """One alert with the email that contains it.

    ``price`` and ``reference`` are in ``unit``, ``change_percent`` in percent. ``steps`` is how many steps
    of a ladder it is further than the alert before; None for other alerts. ``late`` means that it was evaluated too
    late to be sent on its own. ``state`` is one of new, held, notified and dropped. ``email_status`` and ``sent_at``
    are None while there is no email, and after it was deleted because of its age.
    """

    id: int
    subscription_id: int
    observed_at: datetime
    price: float
    reference: float
    reference_at: datetime | None
    change_percent: float
    steps: int | None
    late: bool
    state: str
    exchange: str
    exchange_name: str
    base: str
    quote: str
    metric: Metric
    email_status: str | None
    sent_at: datetime | None

    @property
    def unit(self) -> str:
        """The currency of the values: quote currency for prices, base currency for volumes."""
        return self.quote if self.metric == "price" else self.base


@dataclass(frozen=True, slots=True)
class AlertFilters:
    """Which alerts to list: those of a coin (its code), of one subscription, fired after ``since``.

    ``before`` is the id of the last alert on the previous page.
    """

    before: int | None = None
    since: datetime | None = None
    coin: str | None = None
    subscription_id: int | None = None


ALL_ALERTS = AlertFilters()


def get_subscriber(engine: Engine, user_id: int) -> Subscriber:
    """Return a user with their subscriptions, oldest first. Raises NotFound."""
    with transaction(engine) as connection:
        return subscriber_in(connection, user_id)


def list_alerts(
    engine: Engine, user_id: int, filters: AlertFilters = ALL_ALERTS, *, limit: int | None = ALERTS_PER_PAGE
) -> list[FiredAlert]:
    """Return a page of a user's alerts, newest first; all of them if ``limit`` is None."""
    with transaction(engine) as connection:
        return alerts_of(connection, user_id, filters, limit)


def count_alerts_since(engine: Engine, user_id: int, since: datetime) -> int:
    """Return the number of a user's alerts that fired after a time."""
    with transaction(engine) as connection:
        query = statement("notifications/subscribers/count_alerts_since")
        return int(connection.execute(query, {"user_id": user_id, "since": since}).scalar_one())


def subscriber_in(connection: Connection, user_id: int) -> Subscriber:
    """``get_subscriber`` within a transaction."""
    query = statement("notifications/subscribers/select_subscriber")
    row = connection.execute(query, {"user_id": user_id}).one_or_none()
    if row is None:
        raise NotFound(ERASED)
    return Subscriber(
        row.id,
        row.email,
        row.created_at,
        row.verified_at,
        Preferences(row.timezone, row.quiet_from, row.quiet_until, row.digest),
        row.digest_sent_at,
        row.channel,
        row.suppressed_at,
        row.suppression_reason,
        Held(row.held_reason, row.held_since, row.held_until) if row.held_reason else None,
        subscriptions_of(connection, user_id),
    )


def alerts_of(
    connection: Connection, user_id: int, filters: AlertFilters = ALL_ALERTS, limit: int | None = None
) -> list[FiredAlert]:
    """``list_alerts`` within a transaction."""
    parameters = asdict(filters) | {"user_id": user_id, "limit": limit}
    rows = connection.execute(statement("notifications/subscribers/select_alerts"), parameters).mappings()
    return [FiredAlert(**row) for row in rows]
