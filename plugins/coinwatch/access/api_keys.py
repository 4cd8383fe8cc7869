"""API keys: tokens for programs, with scopes and an expiry, created and revoked by operators.

A key is ``cw_<id>_<secret>``. Only a SHA-256 hash of the secret is stored. A slow hash such as argon2 protects
passwords, which can be guessed; it would add nothing to a secret of 256 random bits, and cost time in every request.
"""

import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, cast, get_args

from sqlalchemy import Engine

from coinwatch.audit import Actor, record
from coinwatch.database import statement, transaction
from coinwatch.errors import InvalidRequest, NotFound

Scope = Literal["status:read", "alerts:read", "subscriptions:read", "subscriptions:write", "operator"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "cw_"
MAX_NAME_LENGTH = 100
MAX_DAYS = 3650
USE_RECORDED_EVERY = timedelta(hours=1)
TOKEN = re.compile(r"cw_([1-9][0-9]{0,17})_([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. ``expires_at`` is None if it doesn't expire, ``last_used_at`` is exact to an hour."""

    id: int
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Whether the key can be used."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


@dataclass(frozen=True, slots=True)
class ValidKey:
    """A key that a request was sent with."""

    id: int
    name: str
    scopes: frozenset[Scope]

    @property
    def label(self) -> str:
        """How the audit log names it."""
        return f"API key {self.id} ({self.name})"


def create_api_key(
    engine: Engine, actor: Actor, name: str, scopes: Collection[str], expires_at: datetime | None
) -> tuple[int, str]:
    """Create a key; return its id and the token, which is not stored and can't be shown again.

    Raises InvalidRequest for an invalid name, scope or expiry, and DatabaseError.
    """
    name = _check_name(name)
    chosen = _check_scopes(scopes)
    if expires_at is not None and not actor.at < expires_at <= actor.at + timedelta(days=MAX_DAYS):
        raise InvalidRequest("expires", f"The key must expire within {MAX_DAYS:,} days from now, or never.")
    secret = secrets.token_hex(32)
    values = {
        "name": name,
        "scopes": chosen,
        "secret_hash": _hash(secret),
        "now": actor.at,
        "created_by": f"{actor.name} ({actor.via})",
        "expires_at": expires_at,
    }
    with transaction(engine) as connection:
        key_id = int(connection.execute(statement("access/insert_api_key"), values).scalar_one())
        expires = None if expires_at is None else expires_at.isoformat()
        record(connection, actor, "api_key.create", key_id, name=name, scopes=chosen, expires_at=expires)
    return key_id, f"{PREFIX}{key_id}_{secret}"


def list_api_keys(engine: Engine) -> list[ApiKey]:
    """All keys, newest first, including expired and revoked ones. Raises DatabaseError."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("access/select_api_keys")).mappings()
        return [ApiKey(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]


def revoke_api_key(engine: Engine, actor: Actor, key_id: int) -> str:
    """Revoke a key, which takes effect with its next request; return its name.

    Also ends the browser sessions started with it. Raises NotFound if there is no such key that isn't revoked.
    """
    with transaction(engine) as connection:
        parameters = {"id": key_id, "now": actor.at}
        name = connection.execute(statement("access/revoke_api_key"), parameters).scalar_one_or_none()
        if name is None:
            raise NotFound(f"There is no API key {key_id}, or it was revoked before. See: coinwatch api-key list")
        record(connection, actor, "api_key.revoke", key_id, name=name)
    return str(name)


def find_api_key(engine: Engine, token: str, now: datetime) -> ValidKey | None:
    """The key of a token, and None if it is unknown, expired or revoked. Records its use. Raises DatabaseError."""
    parsed = TOKEN.fullmatch(token)
    if parsed is None:
        return None
    with transaction(engine) as connection:
        row = connection.execute(statement("access/find_api_key"), {"id": int(parsed[1]), "now": now}).one_or_none()
        if row is None or not hmac.compare_digest(bytes(row.secret_hash), _hash(parsed[2])):
            return None
        before = now - USE_RECORDED_EVERY
        if row.last_used_at is None or row.last_used_at < before:
            connection.execute(statement("access/record_api_key_use"), {"id": row.id, "now": now, "before": before})
    return ValidKey(row.id, row.name, frozenset(cast("Collection[Scope]", row.scopes)))


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _check_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidRequest("name", f"Enter a name of up to {MAX_NAME_LENGTH} printable characters.")
    return name


def _check_scopes(scopes: Collection[str]) -> list[str]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        problem = f"{unknown[0]!r} is not a scope." if unknown else "A key needs a scope."
        raise InvalidRequest("scopes", f"{problem} Choose from: {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in scopes]
