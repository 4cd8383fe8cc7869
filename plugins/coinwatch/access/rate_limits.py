"""Rate limits that protect people: on emails that strangers can trigger, attempts to sign in, and new API keys.

Calls are counted in Postgres, so the limits hold for several server processes together and after a restart. Limits on
reading are counted in the memory of a process instead (``web/middleware/rate_limiter.py``), because a read must not
cost a write.
"""

import hmac
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.settings import Settings

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on the calls of one caller in any period; errors name the calls ``what``, and the caller."""

    what: str
    limits: tuple[tuple[int, timedelta], ...]
    whose: str = "from your network"


# Per network. Emails to one address are limited in notifications/requested_emails.py.
NEW_SUBSCRIPTIONS = Limit("subscriptions", ((10, MINUTE), (60, DAY)))
LINK_REQUESTS = Limit("requests for a link", ((10, MINUTE), (60, DAY)))
OPERATOR_SIGN_INS = Limit("attempts to sign in", ((5, MINUTE), (20, HOUR)))
# Per operator.
NEW_API_KEYS = Limit("new API keys", ((20, HOUR), (100, DAY)), "created by you")


def count_call(engine: Engine, settings: Settings, limit: Limit, caller: str, now: datetime) -> timedelta | None:
    """Count a call; return how long the caller has to wait if a limit is reached, in which case it isn't counted.

    ``caller`` is an IP address (IPv6 addresses count per /64 network) or another name. Only its keyed hash is stored.
    Raises ConfigurationError if COINWATCH_SECRET_KEY is not set, and DatabaseError.
    """
    longest = max(period for _, period in limit.limits)
    parameters = {
        "what": limit.what,
        "caller": _hash(settings, network_of(caller)),
        "now": now,
        "longest": longest,
        "delete_after": now + longest,
        "counts": [count for count, _ in limit.limits],
        "periods": [period for _, period in limit.limits],
    }
    with transaction(engine) as connection:
        retry_at: datetime | None = connection.execute(statement("access/count_call"), parameters).scalar_one()
    return None if retry_at is None else retry_at - now


def network_of(caller: str) -> str:
    """The network of an IPv6 address; anything else unchanged. A household gets a whole /64."""
    try:
        address = ipaddress.ip_address(caller)
    except ValueError:
        return caller
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def delete_expired(engine: Engine, now: datetime) -> int:
    """Delete calls that no limit counts anymore, and expired sessions of operators; return the number of rows."""
    with transaction(engine) as connection:
        limits = connection.execute(statement("access/delete_old_limits"), {"now": now}).rowcount
        sessions = connection.execute(statement("access/delete_expired_sessions"), {"now": now}).rowcount
    return limits + sessions


def _hash(settings: Settings, caller: str) -> bytes:
    return hmac.digest(settings.require("secret_key").encode(), f"rate limits {caller}".encode(), "sha256")[:16]
