"""When a person is told: at once, or later together, as they wish and as the cap on mails demands.

Invariant: every alert is in exactly one mail, sooner or later. What may not be told now is held, and its person
noted with the moment to look again (``held_users``): the end of their quiet hours, the time of their digest, the
moment at which the cap leaves room. A run looks at the people with new alerts and at those whose moment has come,
so that it costs what it tells, however much is held. The table's trigger brings that moment forward when a person
changes their wishes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from coinwatch.database import statement


@dataclass(frozen=True, slots=True)
class Telling:
    """How many alert mails one address gets within 24 hours, 0 for any number; whether other channels hear as well."""

    emails_per_day: int = 50
    channels: bool = False


DEFAULT = Telling()


@dataclass(frozen=True, slots=True)
class Told:
    """The mails queued, the people looked at who have to wait, and the alerts new in this run by kind of rule."""

    mails: int = 0
    held: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)


def tell(connection: Connection, now: datetime, telling: Telling) -> Told:
    """Queue a mail for everybody who may be told now; hold the other alerts.

    Belongs in the transaction that made the alerts, of which there is one at a time.
    """
    kinds = {row.kind: row.alerts for row in connection.execute(statement("notifications/new_alerts"))}
    connection.execute(statement("notifications/create_people_to_tell"))
    wishes = {"now": now, "emails_per_day": telling.emails_per_day or None}
    people = connection.execute(statement("notifications/find_people_to_tell"), wishes).rowcount
    if not people:
        return Told()
    # The planner would guess hundreds of people, and read whole tables for ten of them.
    connection.execute(sa.text("ANALYZE people_to_tell"))
    mails = connection.execute(
        statement("notifications/queue_alerts"), {"now": now, "channels": telling.channels}
    ).rowcount
    connection.execute(statement("notifications/mark_notified"))
    held = connection.execute(statement("notifications/hold_alerts")).rowcount
    return Told(mails, held, kinds)
