"""Users: the owners of the addresses that alerts are sent to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine

from coinwatch.addresses import normalize_address
from coinwatch.audit import Actor, record
from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.time_range import parse_time_zone

LOCK_TIMEOUT_MILLISECONDS = 15_000
ERASED = "This subscriber's data has been erased."


@dataclass(frozen=True, slots=True)
class LinkKey:
    """What links in emails name a user by: a random key, and the version of the links to the user's own page."""

    key: UUID
    version: int


@dataclass(frozen=True, slots=True)
class LinkedUser:
    """The user that a link names. ``revoked``: they have signed out everywhere since."""

    user_id: int
    revoked: bool


def find_user_id(engine: Engine, email: str) -> int | None:
    """Return the id of the user with this address (in any spelling), or None."""
    with transaction(engine) as connection:
        address = {"email": normalize_address(email)}
        found = connection.execute(statement("alerts/users/find_user"), address).scalar_one_or_none()
    return None if found is None else int(found)


def get_user_id(engine: Engine, email: str) -> int:
    """Return the id of the user with this address. Raises NotFound."""
    found = find_user_id(engine, email)
    if found is None:
        raise NotFound(f"There is no user with the address {email!r}.")
    return found


def get_link_key(engine: Engine, user_id: int) -> LinkKey:
    """Return what new links name a user by. Raises NotFound."""
    with transaction(engine) as connection:
        found = connection.execute(statement("alerts/users/select_link_key"), {"user_id": user_id}).one_or_none()
    if found is None:
        raise NotFound(ERASED)
    return LinkKey(found.key, found.version)


def find_linked_user(engine: Engine, link_key: LinkKey) -> LinkedUser | None:
    """Return the user that a link names; None if they were erased, or the database was reset."""
    parameters = {"key": link_key.key, "version": link_key.version}
    with transaction(engine) as connection:
        found = connection.execute(statement("alerts/users/find_linked_user"), parameters).one_or_none()
    return None if found is None else LinkedUser(found.user_id, found.revoked)


def sign_out_everywhere(engine: Engine, user_id: int, *, actor: Actor | None = None) -> None:
    """Sign a user out everywhere: their sessions end, and links in earlier emails no longer sign in.

    Links that end, pause or snooze alerts keep working. Raises NotFound.
    """
    with transaction(engine) as connection:
        if not connection.execute(statement("alerts/users/revoke_links"), {"user_id": user_id}).rowcount:
            raise NotFound(ERASED)
        connection.execute(statement("alerts/sessions/delete_sessions_of_user"), {"user_id": user_id, "keep": 0})
        record(connection, actor, "subscriber.sign_out", f"subscriber {user_id}")


def check_time_zone(connection: Connection, name: str) -> str:
    """Return the name of a time zone that both Python and Postgres know. Raises InvalidRequest."""
    zone = parse_time_zone(name).key
    if not connection.execute(statement("alerts/users/time_zone_exists"), {"zone": zone}).scalar_one():
        raise InvalidRequest("timezone", f"The database doesn't know the time zone {zone!r}. Choose a nearby city.")
    return zone


def lock_user(connection: Connection, user_id: int) -> bool:
    """Lock a user's row until the transaction ends; return False if the user doesn't exist."""
    return connection.execute(statement("alerts/users/lock_user"), {"user_id": user_id}).first() is not None


@contextmanager
def locked_user(engine: Engine, user_id: int) -> Iterator[Connection]:
    """Open a transaction in which no other session, including the evaluation, changes this user's rows.

    To avoid deadlocks, and because no subscription may disappear while it is evaluated, all code that changes rows of a
    user takes its locks in this order: the evaluation lock, the user, their outbox rows, their subscriptions.

    Raises NotFound, and DatabaseError if a lock is not available within :data:`LOCK_TIMEOUT_MILLISECONDS`.
    """
    with transaction(engine) as connection:
        timeout = {"milliseconds": str(LOCK_TIMEOUT_MILLISECONDS)}
        connection.execute(statement("alerts/users/set_lock_timeout"), timeout)
        acquire_lock(connection, Lock.EVALUATION)
        if not lock_user(connection, user_id):
            raise NotFound(ERASED)
        yield connection
