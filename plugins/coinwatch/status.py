"""How the pipeline is doing, for the command line, the API and an operator at night."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.notifications.outbox import OutboxStatus, get_outbox_status
from coinwatch.time_range import DAY, floor_to


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
class TableSize:
    """What a table takes on disk, indexes included, and about how many rows it has.

    The daily partitions of ``prices`` are one table: ``partitions`` of them, from ``first_day`` to ``last_day`` (UTC;
    some are made ahead). None for the others.
    """

    table: str
    bytes: int
    rows_estimate: int
    partitions: int | None = None
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class SilentRules:
    """Active rules that cannot fire, because their instrument has had no price for a day (None: never)."""

    exchange: str
    base: str
    quote: str
    rules: int
    last_price_at: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """Counts by state, and the moments that show a standstill. ``prices_today`` counts from midnight UTC,
    ``alerts_24h`` by kind of rule.

    ``database_bytes`` is the whole database, catalogs included; ``disk`` its tables, the largest first.
    """

    exchanges: list[ExchangeHealth]
    newest_price_at: datetime | None
    prices_today: int
    subscriptions: Mapping[str, int]
    silent_rules: list[SilentRules]
    alerts_24h: Mapping[str, int]
    outbox: OutboxStatus
    database_bytes: int
    disk: list[TableSize]


def failing_exchanges(engine: Engine) -> list[str]:
    """A sentence for every enabled exchange whose last fetch failed."""
    return [
        f"{exchange.code} failed {exchange.failures} times in a row: {exchange.last_error}"
        for exchange in exchange_health(engine)
        if exchange.enabled and exchange.failures
    ]


def exchange_health(engine: Engine) -> list[ExchangeHealth]:
    """Every exchange and how it is doing, by code."""
    with transaction(engine) as connection:
        return [ExchangeHealth(**row) for row in connection.execute(statement("status/exchange_health")).mappings()]


def pipeline_status(engine: Engine, now: datetime, emails_per_day: int = 0) -> Status:
    """The state of everything stored; raises DatabaseError when Postgres is away.

    ``emails_per_day`` is the limit that holds mails back, 0 for none.
    """
    today = floor_to(now, DAY)
    with transaction(engine) as connection:
        counts = connection.execute(statement("status/counts"), {"today": today}).mappings().one()
        alerts = {row.kind: row.alerts for row in connection.execute(statement("status/alerts"), {"now": now})}
        silent = [SilentRules(**row) for row in connection.execute(statement("status/silent"), {"now": now}).mappings()]
        size = connection.execute(statement("status/bytes")).scalar_one()
        disk = [TableSize(**row) for row in connection.execute(statement("status/disk")).mappings()]
    outbox = get_outbox_status(engine, now, emails_per_day)
    return Status(
        exchanges=exchange_health(engine),
        silent_rules=silent,
        alerts_24h=alerts,
        outbox=outbox,
        database_bytes=size,
        disk=disk,
        **counts,
    )
