"""A person's own side of coinwatch: what is known of them, how they want to be told, and their right to take it along
and to have it erased.

Whoever changes a person's rows goes the same way round, so that nobody waits in a circle and the matcher never finds
a rule gone that it has just judged: first the matcher's lock, then the person, then their mails, then their
subscriptions. Senders mark many mails at once and in any order: whoever needs all mails of a person takes them all or
none, and never waits for one while holding another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from time import monotonic, sleep
from typing import Literal, get_args

import structlog
from sqlalchemy import Connection, Engine

from coinwatch.alerts.rules import Direction, Kind, Metric, Rule, describe
from coinwatch.alerts.subscriptions import ask_again
from coinwatch.database import Lock, hold, statement, transaction
from coinwatch.errors import DatabaseError, InvalidRequest, NotFound
from coinwatch.notifications.requested_emails import mail_manage_link
from coinwatch.prices.candles.time_grid import time_zone

Digest = Literal["none", "daily", "weekly"]

LONGEST_WAIT_MILLISECONDS = 15_000
ALERTS_PER_PAGE = 50
UNCONFIRMED_KEPT = timedelta(days=7)
PRICES_MISSED_AFTER = timedelta(days=1)  # as in sql/status/silent.sql, for operators
BATCH = 1_000  # people forgotten in one transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Preferences:
    """How a person wants to be told: times in ``timezone`` (an IANA name), ``quiet_from`` and ``quiet_until`` in its
    local time or both None, ``digest`` for one mail a day or a week instead of one at once."""

    timezone: str = "UTC"
    quiet_from: time | None = None
    quiet_until: time | None = None
    digest: Digest = "none"


@dataclass(frozen=True, slots=True)
class OwnSubscription:
    """One of a person's subscriptions; the rule's fields and units are those of ``Rule``."""

    id: int
    exchange: str
    exchange_name: str
    base: str
    quote: str
    coin_name: str
    kind: Kind
    metric: Metric
    direction: Direction
    threshold: float
    window_seconds: int
    cooldown_seconds: int
    repeat: bool
    expires_at: datetime | None
    status: str
    created_at: datetime
    snoozed_until: datetime | None
    alerts: int
    last_alert_at: datetime | None
    last_price_at: datetime | None

    @property
    def rule(self) -> Rule:
        return Rule(
            self.kind,
            self.threshold,
            self.direction,
            self.metric,
            self.window_seconds,
            self.cooldown_seconds,
            self.repeat,
            self.expires_at,
        )

    @property
    def condition(self) -> str:
        """The rule in words: "the price rises by 5 % or more within 1 hour"."""
        return describe(self.rule, self.quote, self.base)

    def state(self, now: datetime) -> str:
        """Its status; ``asleep`` for an active one that is snoozed."""
        asleep = self.status == "active" and self.snoozed_until is not None and self.snoozed_until > now
        return "asleep" if asleep else self.status

    def lacks_prices(self, now: datetime) -> bool:
        """Whether it cannot fire because no price came for a day: perhaps its exchange has dropped the pair."""
        return self.status == "active" and (self.last_price_at or self.created_at) < now - PRICES_MISSED_AFTER


@dataclass(frozen=True, slots=True)
class Held:
    """Why a person's newest alerts are not told yet (digest, quiet, cap, late, disabled), since when, and when that
    is looked at again: a moment in the past is the next run, None until a new alert or the person changes it."""

    reason: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a person. The moments of the address: when its owner confirmed it, and since when and why the
    mail server refuses it. ``channel`` is the kind of another way to be told (its URL without the secrets)."""

    id: int
    email: str
    created_at: datetime
    verified_at: datetime | None
    has_password: bool
    preferences: Preferences
    digest_sent_at: datetime | None
    channel: str | None
    suppressed_at: datetime | None
    suppression_reason: str | None
    held: Held | None
    subscriptions: list[OwnSubscription]


@dataclass(frozen=True, slots=True)
class OwnAlert:
    """One alert: the value (in ``unit``), what it was compared with, the change in percent, and the mail that tells it
    (None while none does, and when that mail is no longer kept). ``late``: found too late to be news. ``state``: new,
    held, told or dropped."""

    id: int
    subscription_id: int
    observed_at: datetime
    price: float
    reference: float
    reference_at: datetime | None
    change_percent: float
    late: bool
    state: str
    exchange: str
    exchange_name: str
    base: str
    quote: str
    metric: Metric
    mail: str | None
    sent_at: datetime | None

    @property
    def unit(self) -> str:
        return self.quote if self.metric == "price" else self.base


def get_person(engine: Engine, user_id: int) -> Person:
    """The person of an id, with their subscriptions, oldest first. Raises NotFound."""
    with transaction(engine) as connection:
        return person_in(connection, user_id)


def find_person(engine: Engine, email: str) -> int | None:
    """The id of the person of an address, None where nobody has it."""
    with transaction(engine) as connection:
        found = connection.execute(
            statement("notifications/subscribers/find"), {"email": email.strip()}
        ).scalar_one_or_none()
    return None if found is None else int(found)


def person_of(engine: Engine, email: str) -> int:
    """The id of the person of an address; NotFound where nobody has it."""
    found = find_person(engine, email)
    if found is None:
        raise NotFound(f"Nothing is known of the address {email!r}.")
    return found


def own_alerts(
    engine: Engine, user_id: int, *, before: int | None = None, at_most: int = ALERTS_PER_PAGE
) -> list[OwnAlert]:
    """A person's alerts, newest first; ``before`` is the id of the last one seen."""
    with transaction(engine) as connection:
        return alerts_of(connection, user_id, before, at_most)


def ask_for_link(engine: Engine, email: str, now: datetime) -> None:
    """Mail an address the link to its own page, if it is known and has not had its share of such mails this hour.

    An address that nobody confirmed yet gets nothing but the question for that, whose page leads on to its own.
    """
    with transaction(engine) as connection:
        found = connection.execute(
            statement("notifications/subscribers/find"), {"email": email.strip()}
        ).scalar_one_or_none()
        if (
            found is None
            or connection.execute(statement("notifications/subscribers/hold"), {"user_id": found}).first() is None
        ):
            return
        person = connection.execute(statement("notifications/subscribers/person"), {"user_id": found}).one()
        if person.verified_at is None:
            ask_again(connection, person.id, now)
        else:
            mail_manage_link(connection, person.id, person.email, now, reason="asked")


def set_preferences(engine: Engine, user_id: int, preferences: Preferences, now: datetime) -> None:
    """Tell a person differently from now on. Raises InvalidRequest and NotFound."""
    zone = time_zone(preferences.timezone).key
    if (preferences.quiet_from is None) != (preferences.quiet_until is None):
        field = "quiet_from" if preferences.quiet_from is None else "quiet_until"
        raise InvalidRequest(field, "Quiet hours need both a beginning and an end; leave both empty for none.")
    if preferences.quiet_from is not None and preferences.quiet_from == preferences.quiet_until:
        raise InvalidRequest("quiet_until", "Quiet hours that end when they begin would hold every mail for ever.")
    if preferences.digest not in get_args(Digest):
        raise InvalidRequest("digest", f"The digest is one of {', '.join(get_args(Digest))}.")
    with held_person(engine, user_id) as connection:
        if not connection.execute(statement("notifications/subscribers/zone_known"), {"zone": zone}).scalar_one():
            raise InvalidRequest("timezone", f"The database does not know the time zone {zone!r}. Choose a place near.")
        wanted = {
            "user_id": user_id,
            "timezone": zone,
            "quiet_from": preferences.quiet_from,
            "quiet_until": preferences.quiet_until,
            "digest": preferences.digest,
            "now": now,
        }
        connection.execute(statement("notifications/subscribers/set_preferences"), wanted)


def wake_address(engine: Engine, user_id: int) -> None:
    """Mail this address again, which the mail server refused: its person says that it works. Paused rules stay paused.

    Raises NotFound.
    """
    with held_person(engine, user_id) as connection:
        connection.execute(statement("notifications/subscribers/wake_address"), {"user_id": user_id})


def erase(engine: Engine, user_id: int) -> None:
    """Remove everything about a person: address, preferences, subscriptions, alerts and mails. Raises NotFound.

    Waits for a run of the matcher. A mail that a sender has just taken out of the outbox may still arrive.
    """
    with held_person(engine, user_id) as connection:
        _hold_mails(connection, user_id)
        connection.execute(statement("notifications/subscribers/delete_subscriptions"), {"user_id": user_id})
        connection.execute(statement("notifications/subscribers/erase"), {"user_id": user_id})
    log.info("person erased", user_id=user_id)


def forget_unconfirmed(engine: Engine, now: datetime) -> int:
    """Erase people whose address nobody confirmed for a week, more than the link in the question is good for; how many.

    They were typed by somebody, perhaps not by their owner. Breaking it off loses nothing. Raises DatabaseError.
    """
    parameters = {"before": now - UNCONFIRMED_KEPT, "most": BATCH}
    forgotten = 0
    while True:
        with transaction(engine) as connection:
            batch = connection.execute(statement("notifications/subscribers/forget_unconfirmed"), parameters).rowcount
        forgotten += batch
        if batch < BATCH:
            return forgotten


GONE = "Nothing is known of this person any more: everything about them has been erased."


@contextmanager
def held_person(engine: Engine, user_id: int) -> Iterator[Connection]:
    """A transaction in which nobody else, the matcher included, changes this person's rows. Raises NotFound; and
    DatabaseError when the matcher takes too long."""
    with transaction(engine) as connection:
        connection.execute(
            statement("notifications/subscribers/wait_briefly"), {"milliseconds": str(LONGEST_WAIT_MILLISECONDS)}
        )
        hold(connection, Lock.MATCHING)
        if connection.execute(statement("notifications/subscribers/hold"), {"user_id": user_id}).first() is None:
            raise NotFound(GONE)
        yield connection


def subscriptions_of(connection: Connection, user_id: int, subscription_id: int | None = None) -> list[OwnSubscription]:
    """A person's subscriptions, oldest first, or the one of an id."""
    parameters = {"user_id": user_id, "id": subscription_id}
    rows = connection.execute(statement("notifications/subscribers/subscriptions"), parameters).mappings()
    return [OwnSubscription(**row) for row in rows]


def person_in(connection: Connection, user_id: int) -> Person:
    """``get_person`` within a transaction."""
    row = connection.execute(statement("notifications/subscribers/person"), {"user_id": user_id}).one_or_none()
    if row is None:
        raise NotFound(GONE)
    return Person(
        row.id,
        row.email,
        row.created_at,
        row.verified_at,
        row.has_password,
        Preferences(row.timezone, row.quiet_from, row.quiet_until, row.digest),
        row.digest_sent_at,
        row.channel,
        row.suppressed_at,
        row.suppression_reason,
        Held(row.held_reason, row.held_since, row.held_until) if row.held_reason else None,
        subscriptions_of(connection, user_id),
    )


def alerts_of(connection: Connection, user_id: int, before: int | None, at_most: int | None) -> list[OwnAlert]:
    """``own_alerts`` within a transaction; all of them without ``at_most``."""
    parameters = {"user_id": user_id, "before": before, "at_most": at_most}
    return [
        OwnAlert(**row)
        for row in connection.execute(statement("notifications/subscribers/alerts"), parameters).mappings()
    ]


def _hold_mails(connection: Connection, user_id: int) -> None:
    """Hold all mails of a person; DatabaseError when senders do not let go of them in a while."""
    deadline = monotonic() + LONGEST_WAIT_MILLISECONDS / 1000
    while monotonic() < deadline:
        with connection.begin_nested() as attempt:
            if connection.execute(statement("notifications/subscribers/hold_mails"), {"user_id": user_id}).scalar_one():
                return
            attempt.rollback()
        sleep(0.02)
    raise DatabaseError("A sender does not let go of this person's mails. Please try again in a minute.")
