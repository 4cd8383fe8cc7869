"""The audit log: what operators did, through the command line, the web app or the API.

An entry is written in the transaction of the action, so that neither exists without the other. An action of many
transactions has an entry when it starts and one when it ends. Entries name subscribers by id and contain no secrets and
no addresses.
"""

import getpass
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import statement, transaction
from coinwatch.errors import CoinwatchError
from coinwatch.settings import Settings

BATCH = 5_000  # entries deleted in one transaction

Via = Literal["cli", "web", "api"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, for example an Airflow user or "API key 7 (backup)", through what, and when (aware)."""

    name: str
    via: Via
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One action. ``action`` is ``thing.verb``, such as ``exchange.disable``; ``target`` names the thing."""

    id: int
    at: datetime
    actor: str
    via: Via
    action: str
    target: str
    details: Mapping[str, Any]


def command_line_actor(now: datetime) -> Actor:
    """The user of the operating system who runs the command, "unknown" if they have no name."""
    try:
        return Actor(getpass.getuser(), "cli", now)
    except (KeyError, OSError):  # a container's user without an entry in /etc/passwd
        return Actor("unknown", "cli", now)


def record(
    connection: Connection,
    actor: Actor | None,
    action: str,
    target: object = "",
    **details: object,
) -> None:
    """Add an entry to the audit log; does nothing without an actor, for what runs automatically."""
    if actor is None:
        return
    values = {"at": actor.at, "actor": actor.name[:200], "via": actor.via, "action": action, "target": str(target)}
    connection.execute(statement("audit/insert_entry"), {**values, "details": json.dumps(details, default=str)})


def record_action(engine: Engine, actor: Actor, action: str, target: object = "", **details: object) -> None:
    """Add an entry in a transaction of its own, for actions that are not one transaction."""
    with transaction(engine) as connection:
        record(connection, actor, action, target, **details)


@contextmanager
def record_start_and_outcome(
    engine: Engine, actor: Actor, action: str, target: object = "", *, clock: Clock = utc_now, **details: object
) -> Iterator[dict[str, object]]:
    """Add an entry with the details ``state: started``, and one when the context ends: see ``record_outcome``."""
    record_action(engine, actor, action, target, state="started", **details)
    with record_outcome(engine, actor, action, target, clock=clock) as outcome:
        yield outcome


@contextmanager
def record_outcome(
    engine: Engine, actor: Actor, action: str, target: object = "", *, clock: Clock = utc_now
) -> Iterator[dict[str, object]]:
    """When the context ends, add an entry with what was put into the dictionary.

    Its ``state`` is ``finished``, or ``failed`` with the error, or ``interrupted``. What was done before an error has
    been stored, so the dictionary is included then, too.
    """
    outcome: dict[str, object] = {}

    def end(state: str, **details: object) -> None:
        record_action(engine, replace(actor, at=clock()), action, target, state=state, **outcome, **details)

    try:
        yield outcome
    except BaseException as error:
        with suppress(CoinwatchError):  # if the database is down, its error is the one to report
            if isinstance(error, Exception):
                end("failed", error=str(error) if isinstance(error, CoinwatchError) else type(error).__name__)
            else:
                end("interrupted")
        raise
    end("finished")


def list_entries(
    engine: Engine,
    *,
    before: int | None = None,
    action: str | None = None,
    actor: str | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Up to ``limit`` entries, newest first, with an id less than ``before``.

    ``action`` is an action, or its first part: ``outbox`` finds ``outbox.retry`` and ``outbox.drop``. Raises
    DatabaseError.
    """
    parameters = {"before": before, "action": action, "actor": actor, "limit": limit}
    with transaction(engine) as connection:
        return [Entry(**row) for row in connection.execute(statement("audit/select_entries"), parameters).mappings()]


def delete_old_entries(engine: Engine, settings: Settings, now: datetime) -> int:
    """Delete entries older than COINWATCH_AUDIT_RETENTION_DAYS; return their number. Raises DatabaseError."""
    if not settings.audit_retention_days:
        return 0
    parameters = {"before": now - timedelta(days=settings.audit_retention_days), "limit": BATCH}
    deleted = 0
    while True:
        with transaction(engine) as connection:
            batch = connection.execute(statement("audit/delete_old_entries"), parameters).rowcount
        deleted += batch
        if batch < BATCH:
            return deleted
