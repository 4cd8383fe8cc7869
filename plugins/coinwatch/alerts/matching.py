"""Every new quote meets every subscription once; what fires is mailed.

Invariant: alerts, the mail that tells them and the watermark commit together. A run that dies leaves nothing
behind, the next one judges the same quotes, and no quote is judged twice.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy import Engine

from coinwatch.database import statement, transaction

# One matcher at a time: order of time is what the rules are about.
LOCK = 4_701_228

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MatchResult:
    """How many quotes were judged, how many alerts fired, how many mails tell them."""

    quotes: int
    alerts: int
    mails: int


def match_alerts(engine: Engine, now: datetime) -> MatchResult:
    """Judge all quotes that are new since the last run; DatabaseError leaves everything as it was."""
    with transaction(engine) as connection:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        connection.execute(statement("alerts/create_judged"))
        quotes = connection.execute(statement("alerts/take_new_quotes")).rowcount
        parameters = {"now": now}
        alerts = connection.execute(statement("alerts/match_change_since_last"), parameters).scalar_one()
        mails = connection.execute(statement("mail/queue_alerts"), parameters).scalar_one()
        connection.execute(statement("alerts/advance_watermarks"))
    result = MatchResult(quotes, alerts, mails)
    log.info("alerts matched", quotes=quotes, alerts=alerts, mails=mails)
    return result
