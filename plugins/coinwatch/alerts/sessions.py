"""Sessions of subscribers: browsers that are signed in because someone opened a link from one of our emails there.

The browser keeps a random token; the database only has its hash, so that nobody can sign in with a backup.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from coinwatch.alerts.users import ERASED
from coinwatch.database import statement, transaction
from coinwatch.errors import NotFound

LIFETIME = timedelta(days=30)  # without any request
RENEW_AFTER = timedelta(hours=1)  # so that most requests write nothing
TOKEN_BYTES = 32
MAX_SESSIONS = 20  # of one user; the oldest end first


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in subscriber. ``timezone`` is an IANA name; ``suppressed``: the address receives no email."""

    user_id: int
    email: str
    timezone: str
    suppressed: bool


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """When a session started, was last used (to the hour), and expires if it is not used again."""

    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


def start_session(engine: Engine, user_id: int, now: datetime, *, replaced: Iterable[str] = ()) -> str:
    """Start a session and return its token. Sessions with the ``replaced`` tokens, of the same browser, end.

    Raises NotFound if the user was erased.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction(engine) as connection:
        connection.execute(statement("alerts/sessions/delete_sessions"), {"token_hashes": _hashes(replaced)})
        new = {"token_hash": _hash(token), "user_id": user_id, "now": now, "expires_at": now + LIFETIME}
        if not connection.execute(statement("alerts/sessions/add_session"), new).rowcount:
            raise NotFound(ERASED)
        surplus = {"user_id": user_id, "keep": MAX_SESSIONS}
        connection.execute(statement("alerts/sessions/delete_sessions_of_user"), surplus)
    return token


def find_session(engine: Engine, tokens: Iterable[str], now: datetime) -> Session | None:
    """Return the session with one of the tokens, if it has not expired, and extend it if it was not used for a while.

    A browser may send several: cookies of the same name for different paths of a host.
    """
    hashes = _hashes(tokens)
    if not hashes:
        return None
    with transaction(engine) as connection:
        query = statement("alerts/sessions/find_session")
        found = connection.execute(query, {"token_hashes": hashes, "now": now}).one_or_none()
        if found is None:
            return None
        if found.last_seen_at <= now - RENEW_AFTER:
            renewal = {"id": found.id, "now": now, "expires_at": now + LIFETIME}
            connection.execute(statement("alerts/sessions/renew_session"), renewal)
    return Session(found.user_id, found.email, found.timezone, found.suppressed)


def list_sessions(connection: Connection, user_id: int, now: datetime) -> list[SessionTimes]:
    """Return a user's sessions, newest first."""
    query = statement("alerts/sessions/select_sessions")
    return [SessionTimes(**row) for row in connection.execute(query, {"user_id": user_id, "now": now}).mappings()]


def end_sessions(engine: Engine, tokens: Iterable[str]) -> None:
    """End the sessions with these tokens; unknown ones are ignored."""
    with transaction(engine) as connection:
        connection.execute(statement("alerts/sessions/delete_sessions"), {"token_hashes": _hashes(tokens)})


def delete_expired_sessions(engine: Engine, now: datetime) -> int:
    """Delete expired sessions; return their number. Raises DatabaseError."""
    with transaction(engine) as connection:
        return connection.execute(statement("alerts/sessions/delete_expired_sessions"), {"now": now}).rowcount


def _hashes(tokens: Iterable[str]) -> list[bytes]:
    return [_hash(token) for token in tokens]


def _hash(token: str) -> bytes:
    """SHA-256 is enough: a token of 256 random bits cannot be guessed, unlike a password."""
    return hashlib.sha256(token.encode()).digest()
