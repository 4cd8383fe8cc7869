"""Daily partitions of ``prices``, created in advance."""

from collections.abc import Iterable
from datetime import date, timedelta

from sqlalchemy import Engine

from coinwatch.database import statement, transaction

DAYS_AHEAD = 7


def create_upcoming_partitions(engine: Engine, today: date) -> int:
    """Create the partitions from ``today`` (UTC) to a week ahead; returns how many were missing."""
    return ensure_partitions(engine, (today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)))


def ensure_partitions(engine: Engine, days: Iterable[date]) -> int:
    """Create the missing partitions of these UTC days; returns their number.

    Uses a transaction of its own, so that the lock against concurrent creation is held only briefly.
    """
    with transaction(engine) as connection:
        missing = list(
            connection.execute(statement("prices/ingest/select_missing_partitions"), {"days": list(days)}).scalars()
        )
        for day in missing:
            connection.execute(statement("prices/ingest/create_partitions"), {"first_day": day, "last_day": day})
        return len(missing)
