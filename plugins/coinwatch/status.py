"""The state of the pipeline, for the command line and the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine

from coinwatch.alerts.subscriptions import STALE_PRICE_AGE
from coinwatch.database import statement, transaction
from coinwatch.formatting import format_price, format_timestamp
from coinwatch.notifications.outbox import OutboxStatus, get_outbox_status
from coinwatch.prices.backfill.history import HistoryProgress, read_history_progress
from coinwatch.prices.ingest.confirmation import list_unconfirmed_quotes
from coinwatch.prices.ingest.index import find_excluded_prices
from coinwatch.prices.ingest.index_values import OUTLIER_FACTOR
from coinwatch.time_range import DAY, floor_to


@dataclass(frozen=True, slots=True)
class ExchangeHealth:
    """The health of an exchange.

    ``failures`` counts consecutive failed fetches. ``blocked_until`` is set while the exchange has rate limited us.
    """

    code: str
    name: str
    enabled: bool
    last_success_at: datetime | None
    failures: int
    blocked_until: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class TableSize:
    """The size of a table on disk in bytes, including indexes, and its estimated number of rows.

    The daily partitions of ``prices`` are one table: ``partitions`` is their number, ``first_day`` and ``last_day``
    (UTC) their range, which includes days created ahead. All three are None for other tables.
    """

    table: str
    bytes: int
    rows_estimate: int
    partitions: int | None = None
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class StaleSubscriptions:
    """Active subscriptions to an instrument that has had no price for a day, or never (None)."""

    exchange: str
    base: str
    quote: str
    subscriptions: int
    last_price_at: datetime | None


@dataclass(frozen=True, slots=True)
class TradingHalt:
    """A watched instrument that its exchange does not trade at present, so that it has no current price.

    ``status`` is auction, halted or delisted, the same for every exchange; ``term`` is the exchange's own.
    """

    exchange: str
    base: str
    quote: str
    status: str
    term: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the pipeline.

    ``prices_today`` counts from midnight UTC. ``subscriptions`` counts by status, ``alerts_24h`` by kind of rule.
    ``price_problems`` has a sentence for each price jump that waits for confirmation or was rejected in the last day,
    and for each price that the index excludes. ``database_bytes`` is the size of the whole database including catalogs,
    ``disk`` its tables, largest first.
    """

    exchanges: list[ExchangeHealth]
    newest_price_at: datetime | None
    prices_today: int
    subscriptions: Mapping[str, int]
    stale_subscriptions: list[StaleSubscriptions]
    trading_halts: list[TradingHalt]
    alerts_24h: Mapping[str, int]
    outbox: OutboxStatus
    price_problems: list[str]
    history: list[HistoryProgress]
    database_bytes: int
    disk: list[TableSize]


def pipeline_status(
    engine: Engine,
    now: datetime,
    emails_per_day: int = 0,
    *,
    index_freshness: timedelta = timedelta(minutes=10),
    history_days: int = 365,
) -> Status:
    """Return the state of the pipeline. Raises DatabaseError.

    ``emails_per_day`` is the daily limit over all addresses; 0 means no limit. ``index_freshness`` is the maximum age
    of prices that enter the index, ``history_days`` how many days of history are fetched for new instruments.
    """
    with transaction(engine) as connection:
        today = {"today": floor_to(now, DAY)}
        counts = connection.execute(statement("status/count_prices_and_subscriptions"), today).mappings().one()
        alerts = connection.execute(statement("status/count_alerts"), {"now": now}).all()
        limit = {"stale_before": now - STALE_PRICE_AGE}
        stale = connection.execute(statement("status/select_stale_subscriptions"), limit).mappings().all()
        halts = connection.execute(statement("status/select_trading_halts")).mappings().all()
        database_bytes = connection.execute(statement("gauges/select_database_size")).scalar_one()
        disk = connection.execute(statement("gauges/select_table_sizes")).mappings().all()
    return Status(
        exchanges=exchange_health(engine),
        stale_subscriptions=[StaleSubscriptions(**row) for row in stale],
        trading_halts=[TradingHalt(**row) for row in halts],
        alerts_24h={row.kind: row.alerts for row in alerts},
        outbox=get_outbox_status(engine, now, emails_per_day),
        database_bytes=database_bytes,
        disk=[TableSize(**row) for row in disk],
        price_problems=[*_describe_jumps(engine, now), *_describe_excluded(engine, index_freshness, now)],
        history=read_history_progress(engine, history_days, now),
        **counts,
    )


def exchange_health(engine: Engine) -> list[ExchangeHealth]:
    """Return the health of every exchange, ordered by code."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("status/select_exchange_health")).mappings()
        return [ExchangeHealth(**row) for row in rows]


def failing_exchanges(engine: Engine) -> list[str]:
    """Return a message for every enabled exchange whose last fetch failed."""
    return [
        f"{exchange.code} failed {exchange.failures} times in a row: {exchange.last_error}"
        for exchange in exchange_health(engine)
        if exchange.enabled and exchange.failures
    ]


def _describe_jumps(engine: Engine, now: datetime) -> list[str]:
    return [
        f"{quote.exchange} {quote.base}/{quote.quote} jumped from {format_price(quote.reference)} to "
        f"{format_price(quote.price)} at {format_timestamp(quote.observed_at)}: "
        + ("rejected, nothing confirmed it." if quote.rejected_at else "waiting until another price confirms it.")
        for quote in list_unconfirmed_quotes(engine, now - DAY)
    ]


def _describe_excluded(engine: Engine, freshness: timedelta, now: datetime) -> list[str]:
    return [
        f"{price.exchange} {price.pair} at {format_price(price.price)} does not count in the index: it is at least "
        f"{OUTLIER_FACTOR} times off the others. Check which coin the exchange means by it."
        for price in find_excluded_prices(engine, freshness, now)
    ]
