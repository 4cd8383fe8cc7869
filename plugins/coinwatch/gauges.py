"""Gauges of prices and pipeline health, sent to StatsD and stored in Graphite.

They are sent over TCP, because StatsD loses most of a burst over UDP. If StatsD is unavailable, a warning is logged and
the cycle continues.
"""

import re
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine
from statsd import TCPStatsClient

from coinwatch.database import statement, transaction
from coinwatch.settings import Settings

PREFIX = "coinwatch"
TIMEOUT_SECONDS = 3.0

# The name of every gauge in StatsD (in Graphite: stats.gauges.coinwatch.<name>) and its description.
NAMES = {
    "prices.{exchange}.{base}.{quote}.price": "Latest price in the quote currency",
    "prices.{exchange}.{base}.{quote}.volume_24h": "24-hour trading volume in the base currency",
    "prices.{exchange}.{base}.{quote}.spread": "Difference between ask and bid in the quote currency",
    "prices.{exchange}.{base}.{quote}.age_seconds": "Age of the latest quote in seconds",
    "exchanges.{exchange}.fetch_seconds": "Duration of the last fetch in seconds",
    "exchanges.{exchange}.quotes": "Quotes received in the last fetch",
    "exchanges.{exchange}.rejected": "Quotes rejected by validation in the last fetch",
    "exchanges.{exchange}.not_trading": "Watched instruments that the exchange does not trade at present",
    "exchanges.{exchange}.errors": "Consecutive failed fetches; 0 after a successful one",
    "gaps.{exchange}.open": "Open gaps in the price history",
    "gaps.{exchange}.missing_minutes": "Minutes without prices in the last 24 hours, summed over all instruments",
    "cycle.rows": "Prices stored in the last cycle, including the index",
    "cycle.exchanges_failed": "Exchanges whose last fetch failed",
    "cycle.alerts": "Alerts that fired in the last cycle",
    "cycle.alerts.{kind}": "Alerts of one kind of rule that fired in the last cycle",
    "cycle.emails_sent": "Emails the mail server accepted in the last cycle",
    "cycle.emails_failed": "Emails that failed permanently in the last cycle",
    "cycle.emails_retried": "Emails rejected temporarily in the last cycle; they are retried",
    "cycle.channel_messages_sent": "Messages sent to channels other than email in the last cycle",
    "cycle.outbox_queued": "Emails waiting in the outbox",
    "cycle.outbox_oldest_seconds": "Age of the oldest email waiting in the outbox, in seconds; 0 when none is",
    "notifications.held_alerts": "Alerts held by quiet hours, a digest or the daily limit per address",
    "notifications.held_by_limit": "Due emails held because COINWATCH_EMAILS_PER_DAY is reached",
    "notifications.suppressed_addresses": "Addresses that get no email because of a bounce or complaint",
    "database.bytes": "Size of the database on disk in bytes",
    "database.{table}.bytes": "Size of one table with its indexes, in bytes; `prices` includes all daily partitions",
    "quality.{check}.findings": "Problems found by the last run of a data quality check",
}

log = structlog.get_logger()


class _Client(TCPStatsClient):  # type: ignore[misc]  # without type hints
    """Connects over IPv6, too: the original does so only if configured to, and then not over IPv4."""

    def connect(self) -> None:
        self._sock = socket.create_connection((self._host, self._port), self._timeout)


def send_gauges(settings: Settings, values: Mapping[str, float]) -> bool:
    """Send gauges, given by name without the prefix. Logs a warning and returns False if StatsD is unavailable."""
    client = _Client(settings.statsd_host, settings.statsd_port, prefix=PREFIX, timeout=TIMEOUT_SECONDS)
    try:
        with client.pipeline() as pipeline:
            for name, value in values.items():
                pipeline.gauge(name, float(value))
    except OSError as error:
        log.warning(
            "gauges not sent: StatsD unavailable",
            host=settings.statsd_host,
            port=settings.statsd_port,
            gauges=len(values),
            error=str(error),
        )
        return False
    finally:
        client.close()
    log.info("gauges sent", gauges=len(values))
    return True


def send_price_gauges(engine: Engine, settings: Settings, now: datetime) -> int:
    """Send the gauges of all watched instruments; return their number.

    A price older than three cycles is not sent again, so that its graph ends; its age still is.
    """
    with transaction(engine) as connection:
        rows = connection.execute(statement("gauges/select_prices")).all()
    values: dict[str, float] = {}
    for row in rows:
        path = ".".join(["prices", escape(row.exchange), escape_code(row.base), escape_code(row.quote)])
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
    """Send the gap gauges of each enabled exchange and the index; return their number.

    They only change hourly but are sent in every cycle, because StatsD drops gauges that are not repeated.
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
    """Send the sizes of the database and its tables; return the number of gauges."""
    with transaction(engine) as connection:
        values: dict[str, float] = {
            "database.bytes": connection.execute(statement("gauges/select_database_size")).scalar_one()
        }
        for row in connection.execute(statement("gauges/select_table_sizes")):
            values[f"database.{escape(row.table)}.bytes"] = row.bytes
    send_gauges(settings, values)
    return len(values)


def escape_code(code: str) -> str:
    """A coin's or currency's code as one part of a gauge name, different for every code.

    In lower case. A sign other than - becomes _ and its number in ASCII (``usdt_2ee`` for USDT.E); a code with letters
    other than A-Z becomes Punycode, as in domain names.
    """
    escaped = re.sub(r"[\x20-,./:-@\[-`{-~]", lambda sign: f"_{ord(sign[0]):02x}", code.lower())
    return escaped if escaped.isascii() else f"xn--{escaped.encode('punycode').decode().lower()}"


def escape(part: str) -> str:
    """Return one part of a gauge name in lowercase, with the special characters of StatsD and Graphite as ``_``."""
    return re.sub(r"[^a-z0-9_-]", "_", part.lower())
