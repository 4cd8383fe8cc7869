"""Gauges for Graphite: what the market and the pipeline look like now, by StatsD over TCP.

TCP, because StatsD's UDP loses a large part of a burst; one pipelined packet per call. StatsD being away costs
a warning, never a cycle.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine
from statsd import TCPStatsClient

from coinwatch.database import statement, transaction
from coinwatch.settings import Settings

PREFIX = "coinwatch"
TIMEOUT_SECONDS = 3.0

# Every gauge by its name in StatsD (in Graphite: stats.gauges.coinwatch.…) and what it says.
NAMES = {
    "prices.{exchange}.{base}.{quote}.price": "Latest price, in the quote currency",
    "prices.{exchange}.{base}.{quote}.volume_24h": "Rolling 24 h volume, in the base currency",
    "prices.{exchange}.{base}.{quote}.spread": "Ask minus bid, in the quote currency",
    "prices.{exchange}.{base}.{quote}.age_seconds": "Seconds since the latest quote was observed",
    "exchanges.{exchange}.fetch_seconds": "Seconds the last fetch took",
    "exchanges.{exchange}.quotes": "Quotes the last fetch brought",
    "exchanges.{exchange}.rejected": "Quotes of the last fetch that did not enter",
    "exchanges.{exchange}.errors": "Failed fetches in a row; 0 after a good one",
    "gaps.{exchange}.open": "Gaps in its prices that wait for a repair",
    "gaps.{exchange}.missing_minutes": "Minutes of the last 24 hours without prices, summed over its instruments",
    "cycle.rows": "Prices stored in the last cycle, the index included",
    "cycle.exchanges_failed": "Exchanges whose last fetch failed",
    "cycle.alerts": "Alerts that fired in the last cycle",
    "cycle.alerts.{kind}": "Those of one kind of rule",
    "cycle.emails_sent": "Emails the mail server accepted in the last cycle",
    "cycle.emails_failed": "Emails that failed permanently in the last cycle",
    "cycle.emails_retried": "Emails rejected temporarily in the last cycle; they are retried",
    "cycle.channel_messages_sent": "Messages sent to other channels than email in the last cycle",
    "cycle.outbox_queued": "Emails waiting in the outbox",
    "cycle.outbox_oldest_seconds": "Age of the oldest email waiting in the outbox, in seconds; 0 when none is",
    "notifications.held_alerts": "Alerts held back by quiet hours, a digest or the daily cap per address",
    "notifications.held_by_limit": "Due emails held back because COINWATCH_EMAILS_PER_DAY is reached",
    "notifications.suppressed_addresses": "Addresses that get no email because of a bounce or complaint",
    "database.bytes": "Size of the database on disk, in bytes",
    "database.{table}.bytes": "Size of one table with its indexes, in bytes; `prices` is all its days together",
    "quality.{check}.findings": "What the last run of a data check found wrong; 0 is good",
}

log = structlog.get_logger()


def send_gauges(settings: Settings, values: Mapping[str, float]) -> bool:
    """Send gauges by their names without the prefix; False, after a warning, when StatsD is away."""
    client = TCPStatsClient(settings.statsd_host, settings.statsd_port, prefix=PREFIX, timeout=TIMEOUT_SECONDS)
    try:
        with client.pipeline() as pipeline:
            for name, value in values.items():
                pipeline.gauge(name, float(value))
    except OSError as error:
        address = f"{settings.statsd_host}:{settings.statsd_port}"
        log.warning("gauges lost, StatsD is away", address=address, gauges=len(values), error=str(error))
        return False
    finally:
        client.close()
    log.info("gauges sent", gauges=len(values))
    return True


def send_price_gauges(engine: Engine, settings: Settings, now: datetime) -> int:
    """Send the gauges of every watched instrument; their number.

    A price older than three cycles is not repeated, so that a dead feed looks dead; its age goes on rising.
    """
    with transaction(engine) as connection:
        rows = connection.execute(statement("gauges/select_prices")).all()
    values: dict[str, float] = {}
    for row in rows:
        path = ".".join(["prices", *(escape(part) for part in (row.exchange, row.base, row.quote))])
        age = max(0.0, (now - row.observed_at).total_seconds())
        values[f"{path}.age_seconds"] = age
        if age > settings.quote_gauge_max_age_seconds:
            continue
        values[f"{path}.price"] = row.price
        if row.volume_24h is not None:
            values[f"{path}.volume_24h"] = row.volume_24h
        if row.bid is not None and row.ask is not None:
            values[f"{path}.spread"] = row.ask - row.bid
    send_gauges(settings, values)
    return len(values)


def send_gap_gauges(engine: Engine, settings: Settings, now: datetime) -> int:
    """Send how many gaps each enabled exchange and the index have; the number of gauges.

    They change once an hour, and are sent with every cycle, because StatsD forgets what is not repeated.
    """
    with transaction(engine) as connection:
        rows = connection.execute(statement("gauges/select_gaps"), {"since": now - timedelta(days=1)}).all()
    values: dict[str, float] = {}
    for row in rows:
        values[f"gaps.{escape(row.exchange)}.open"] = row.open
        values[f"gaps.{escape(row.exchange)}.missing_minutes"] = float(row.missing_minutes)
    send_gauges(settings, values)
    return len(values)


def send_disk_gauges(engine: Engine, settings: Settings) -> int:
    """Send the sizes of the database and of its tables; the number of gauges."""
    with transaction(engine) as connection:
        values: dict[str, float] = {
            "database.bytes": connection.execute(statement("gauges/select_database_size")).scalar_one()
        }
        for row in connection.execute(statement("gauges/select_table_sizes")):
            values[f"database.{escape(row.table)}.bytes"] = row.bytes
    send_gauges(settings, values)
    return len(values)


def escape(part: str) -> str:
    """One part of a name in small letters; whatever means something to StatsD or Graphite becomes ``_``."""
    return re.sub(r"[^a-z0-9_-]", "_", part.lower())
