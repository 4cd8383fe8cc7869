"""Browsers that are signed in to the operator pages of the standalone app.

A session is started with COINWATCH_API_TOKEN or an API key with the scope ``operator``. Its cookie contains a random
token, of which a hash is stored. The hash is keyed with COINWATCH_API_TOKEN, so that changing it ends all sessions.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.access.api_keys import ValidKey, find_api_key
from coinwatch.audit import Actor, record
from coinwatch.database import statement, transaction
from coinwatch.settings import Settings

LIFETIME = timedelta(hours=12)
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """A valid session: the operator's name for the audit log, and the API key they signed in with, if any."""

    name: str
    api_key_id: int | None


def sign_in(engine: Engine, settings: Settings, credential: str, now: datetime) -> str | None:
    """Start a session with COINWATCH_API_TOKEN or an API key; return the cookie's token, None if it is not valid.

    Raises ConfigurationError if COINWATCH_API_TOKEN is not set, and DatabaseError.
    """
    expected = settings.require("api_token")
    key: ValidKey | None = None
    if not hmac.compare_digest(credential.encode(), expected.encode()):
        key = find_api_key(engine, credential, now)
        if key is None or "operator" not in key.scopes:
            return None
    token = secrets.token_urlsafe(32)
    with transaction(engine) as connection:
        values = {
            "token_hash": _hash(token, expected),
            "api_key_id": key.id if key else None,
            "now": now,
            "expires_at": now + LIFETIME,
        }
        connection.execute(statement("access/insert_operator_session"), values)
        actor = Actor(key.label if key else OPERATOR, "web", now)
        record(connection, actor, "operator.sign_in")
    return token


def find_session(engine: Engine, settings: Settings, token: str, now: datetime) -> OperatorSession | None:
    """The session of a cookie's token; None if it has ended. Raises ConfigurationError and DatabaseError."""
    parameters = {"token_hash": _hash(token, settings.require("api_token")), "now": now}
    with transaction(engine) as connection:
        row = connection.execute(statement("access/find_operator_session"), parameters).one_or_none()
    if row is None:
        return None
    if row.api_key_id is None:
        return OperatorSession(OPERATOR, None)
    return OperatorSession(ValidKey(row.api_key_id, row.name, frozenset()).label, row.api_key_id)


def sign_out(engine: Engine, settings: Settings, token: str) -> None:
    """End a session. Raises ConfigurationError and DatabaseError."""
    with transaction(engine) as connection:
        parameters = {"token_hash": _hash(token, settings.require("api_token"))}
        connection.execute(statement("access/delete_operator_session"), parameters)


def _hash(token: str, api_token: str) -> bytes:
    return hmac.digest(api_token.encode(), token.encode(), "sha256")
