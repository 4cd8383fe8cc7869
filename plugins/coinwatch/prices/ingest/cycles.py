"""A record of each cycle of the last week: when it ran, and what it collected."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.prices.ingest.collection import CollectResult


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle.

    ``exchanges`` counts those that were fetched, ``failed`` has the codes of those whose last fetch failed,
    ``inserted`` counts new prices without the index's, which are ``index_prices``.
    """

    started_at: datetime
    finished_at: datetime
    exchanges: int
    failed: Sequence[str]
    quotes: int
    inserted: int
    rejected: int
    index_prices: int

    @property
    def duration(self) -> timedelta:
        """From the start to the gauges; emails may be sent later."""
        return self.finished_at - self.started_at


def record_cycle(
    engine: Engine, collected: Sequence[CollectResult], index_prices: int, started_at: datetime, now: datetime
) -> None:
    """Record a cycle that has collected prices. Raises DatabaseError."""
    fetched = [result for result in collected if result.blocked_until is None]
    parameters = {
        "started_at": started_at,
        "now": now,
        "exchanges": len(fetched),
        "quotes": sum(result.quotes for result in fetched),
        "inserted": sum(result.loaded.inserted for result in fetched),
        "rejected": sum(sum(result.loaded.rejected.values()) for result in fetched),
        "index_prices": index_prices,
    }
    with transaction(engine) as connection:
        connection.execute(statement("prices/ingest/cycles/record_cycle"), parameters)


def list_cycles(engine: Engine, *, before: datetime | None = None, limit: int = 50) -> list[Cycle]:
    """Up to ``limit`` cycles that started before a time, newest first. Raises DatabaseError."""
    parameters = {"before": before, "limit": limit}
    with transaction(engine) as connection:
        rows = connection.execute(statement("prices/ingest/cycles/select_cycles"), parameters).mappings()
        return [Cycle(**row) for row in rows]
