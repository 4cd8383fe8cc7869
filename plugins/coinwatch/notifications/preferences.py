"""A subscriber's notification settings: time zone, quiet hours, digest."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Literal, get_args

from sqlalchemy import Engine

from coinwatch.alerts.users import check_time_zone, locked_user
from coinwatch.database import statement
from coinwatch.errors import InvalidRequest

Digest = Literal["none", "daily", "weekly"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """When a subscriber is notified.

    ``timezone`` is an IANA name. ``quiet_from`` and ``quiet_until`` are local times, or both None. With a ``digest``,
    alerts are collected in one email a day or a week.
    """

    timezone: str = "UTC"
    quiet_from: time | None = None
    quiet_until: time | None = None
    digest: Digest = "none"


def set_preferences(engine: Engine, user_id: int, preferences: Preferences, now: datetime) -> None:
    """Save a subscriber's notification settings; they apply from the next evaluation on.

    Raises InvalidRequest and NotFound.
    """
    if (preferences.quiet_from is None) != (preferences.quiet_until is None):
        field = "quiet_from" if preferences.quiet_from is None else "quiet_until"
        raise InvalidRequest(field, "Enter both a start and an end for quiet hours, or leave both empty.")
    if preferences.quiet_from is not None and preferences.quiet_from == preferences.quiet_until:
        raise InvalidRequest("quiet_until", "Quiet hours can't end when they start.")
    if preferences.digest not in get_args(Digest):
        raise InvalidRequest(
            "digest", f"digest is {preferences.digest!r}; it must be one of {', '.join(get_args(Digest))}."
        )
    with locked_user(engine, user_id) as connection:
        parameters = {
            "user_id": user_id,
            "timezone": check_time_zone(connection, preferences.timezone),
            "quiet_from": preferences.quiet_from,
            "quiet_until": preferences.quiet_until,
            "digest": preferences.digest,
            "now": now,
        }
        connection.execute(statement("alerts/users/set_preferences"), parameters)
