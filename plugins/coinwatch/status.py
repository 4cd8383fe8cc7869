"""How the pipeline is doing, for the command line, the API and an operator at night."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

from coinwatch.database import statement, transaction


@dataclass(frozen=True, slots=True)
class ExchangeHealth:
    """``failures`` counts failed fetches in a row; ``blocked_until`` is a pause the exchange asked for."""

    code: str
    name: str
    enabled: bool
    last_success_at: datetime | None
    failures: int
    blocked_until: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """Counts by state, and the moments that show a standstill. ``prices_today`` counts from midnight UTC."""

    exchanges: list[ExchangeHealth]
    newest_price_at: datetime | None
    prices_today: int
    alerts_24h: int
    subscriptions: Mapping[str, int]
    outbox: Mapping[str, int]
    outbox_oldest_at: datetime | None


def failing_exchanges(engine: Engine, now: datetime) -> list[str]:
    """A sentence for every enabled exchange whose last fetch failed."""
    return [
        f"{exchange.code} failed {exchange.failures} times in a row: {exchange.last_error}"
        for exchange in pipeline_status(engine, now).exchanges
        if exchange.enabled and exchange.failures
    ]


def pipeline_status(engine: Engine, now: datetime) -> Status:
    """The state of everything stored; raises DatabaseError when Postgres is away."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with transaction(engine) as connection:
        counts = connection.execute(statement("status"), {"now": now, "today": today}).mappings().one()
        exchanges = connection.execute(statement("exchanges/health")).mappings().all()
    return Status(exchanges=[ExchangeHealth(**row) for row in exchanges], **counts)
