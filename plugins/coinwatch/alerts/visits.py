"""When subscribers look at their alerts, to show what has happened since their last visit."""

from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.database import statement, transaction

VISIT_ENDS_AFTER = timedelta(minutes=30)  # without looking
RECORD_EVERY = timedelta(minutes=5)


def record_visit(engine: Engine, user_id: int, now: datetime) -> datetime | None:
    """Record that a user looks at their alerts now; return when the visit before this one ended, None if there is none.

    Writes at most every five minutes.
    """
    with transaction(engine) as connection:
        query = statement("alerts/visits/select_visit")
        visit = connection.execute(query, {"user_id": user_id}).one_or_none()
        if visit is not None and visit.last_at > now - RECORD_EVERY:
            previous: datetime | None = visit.previous_at
            return previous
        parameters = {"user_id": user_id, "now": now, "visit_ended": now - VISIT_ENDS_AFTER}
        found: datetime | None = connection.execute(
            statement("alerts/visits/record_visit"), parameters
        ).scalar_one_or_none()
        return found
