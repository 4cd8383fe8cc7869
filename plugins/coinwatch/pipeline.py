"""The steps of a cycle, called by the DAGs' tasks and by the command line."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, get_args

import structlog
from sqlalchemy import Engine

from coinwatch.access.rate_limits import delete_expired
from coinwatch.alerts.alerts_file import append_alerts
from coinwatch.alerts.corporate_actions import apply_to_rules
from coinwatch.alerts.evaluation import evaluate, has_pending_quotes
from coinwatch.alerts.rules import Kind
from coinwatch.alerts.sessions import delete_expired_sessions
from coinwatch.audit import delete_old_entries
from coinwatch.clock import Clock, utc_now
from coinwatch.database import Lock, acquire_lock, end_long_reader_sessions, statement, transaction
from coinwatch.errors import CoinwatchError
from coinwatch.gauges import escape, send_disk_gauges, send_gap_gauges, send_gauges, send_price_gauges
from coinwatch.mail.delivery import DeliveryResult, deliver_emails
from coinwatch.notifications.channels import ChannelResult, deliver_to_channels
from coinwatch.notifications.erasure import erase_unconfirmed
from coinwatch.notifications.notify import DEFAULT_POLICY, NotificationPolicy, notify
from coinwatch.notifications.outbox import OutboxStatus, delete_old_emails, get_outbox_status
from coinwatch.prices import retention
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.catalog import list_enabled_exchanges, sync_catalog
from coinwatch.prices.corporate_actions import apply_to_prices, has_corporate_actions
from coinwatch.prices.ingest.collection import CollectResult, collect_exchange
from coinwatch.prices.ingest.confirmation import confirm_quotes
from coinwatch.prices.ingest.cycles import record_cycle
from coinwatch.prices.ingest.data_quality import CHECKS, collection_is_overdue
from coinwatch.prices.ingest.index import compute_index
from coinwatch.prices.ingest.partitions import create_upcoming_partitions
from coinwatch.prices.retention import RetentionResult, merge_candle_fetches
from coinwatch.settings import Settings

MAX_CONCURRENT_FETCHES = 8
MAX_REFRESH_SECONDS = 10.0  # after an import or a backfill, the next cycle refreshes the remaining stale candles

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CycleResult:
    """The results of all exchanges, the errors of those that failed by code, and the number of new index prices."""

    collected: Sequence[CollectResult]
    failed: Mapping[str, str]
    index_prices: int


@dataclass(frozen=True, slots=True)
class MaintenanceResult:
    """Numbers of partitions created, stale time ranges whose candles were refreshed, and rows removed."""

    partitions_created: int
    time_ranges_refreshed: int
    prices: RetentionResult
    fetches_merged: int
    emails_deleted: int
    users_erased: int
    access_rows_deleted: int


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What one run sent by email and to other channels, and the state of the outbox afterward."""

    emails: DeliveryResult
    channels: ChannelResult
    outbox: OutboxStatus

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for XCom and the log."""
        oldest = self.outbox.oldest_queued_at
        return {
            "sent": self.emails.sent,
            "retried": self.emails.retried,
            "failed": self.emails.failed,
            "channels": asdict(self.channels),
            **asdict(self.outbox),
            "oldest_queued_at": oldest.isoformat() if oldest else None,
        }


@dataclass(frozen=True, slots=True)
class AlertsResult:
    """The result of one evaluation and its notifications.

    ``quotes`` counts the values evaluated, ``alerts`` the alerts that fired (``kinds``: by kind of rule), ``emails``
    the alert emails queued, and ``held`` the users whose alerts are held.
    """

    quotes: int
    alerts: int
    emails: int
    held: int
    kinds: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for XCom and the log."""
        return {**asdict(self), "kinds": dict(self.kinds)}


def prepare_cycle(engine: Engine, settings: Settings, now: datetime) -> list[str]:
    """Update the catalog from the configuration and create partitions; return the codes of the enabled exchanges."""
    if ended := end_long_reader_sessions(engine):
        log.warning("long queries of the reader role ended", sessions=ended)
    sync_catalog(engine, settings)
    apply_corporate_actions(engine, settings, now)
    create_upcoming_partitions(engine, now.astimezone(UTC).date())
    return list_enabled_exchanges(engine)


def apply_corporate_actions(engine: Engine, settings: Settings, now: datetime) -> int:
    """Apply redenominations and reused tickers that have taken effect to prices, candles and rules, each once.

    Returns the number of instruments changed. Raises DatabaseError, in which case nothing was changed.
    """
    if not has_corporate_actions(settings, now):
        return 0
    with transaction(engine) as connection:
        acquire_lock(connection, Lock.EVALUATION)
        acquire_lock(connection, Lock.CANDLES)
        applied = apply_to_prices(connection, settings, now)
        apply_to_rules(connection, applied)
    return len(applied)


def collect_prices(engine: Engine, settings: Settings, now: datetime) -> CycleResult:
    """Fetch and load prices from all enabled exchanges in parallel, then compute the index and send the gauges.

    An exchange that fails is listed in the result and does not affect the others. Raises DatabaseError.
    """
    codes = prepare_cycle(engine, settings, now)
    collected, failed = [], {}
    with ThreadPoolExecutor(MAX_CONCURRENT_FETCHES) as pool:
        running = {code: pool.submit(collect_exchange, engine, settings, code) for code in codes}
        for code, future in running.items():
            try:
                collected.append(future.result())
            except CoinwatchError as error:
                log.error("exchange failed", exchange=code, error=str(error))
                failed[code] = str(error)
    index_prices = compute_index_and_candles(engine, settings, utc_now())
    report_cycle(engine, settings, collected, index_prices, now, utc_now())
    return CycleResult(collected, failed, index_prices)


def compute_index_and_candles(engine: Engine, settings: Settings, now: datetime) -> int:
    """Load confirmed price jumps, store the current index prices and refresh stale candles.

    Returns the number of index prices.
    """
    confirm_quotes(engine, settings, now)
    index_prices = compute_index(engine, settings, now)
    refreshed = refresh_candles(engine, max_seconds=MAX_REFRESH_SECONDS)
    if refreshed.remaining:
        log.warning("candles not refreshed in time", time_ranges=refreshed.remaining)
    return index_prices


def report_cycle(
    engine: Engine,
    settings: Settings,
    collected: Sequence[CollectResult],
    index_prices: int,
    started_at: datetime,
    now: datetime,
) -> int:
    """Record a cycle, and send its gauges; return their number. Raises DatabaseError."""
    record_cycle(engine, collected, index_prices, started_at, now)
    return push_gauges(engine, settings, collected, index_prices, now)


def push_gauges(
    engine: Engine, settings: Settings, collected: Sequence[CollectResult], index_prices: int, now: datetime
) -> int:
    """Send the gauges of instruments, exchanges, gaps, tables and the cycle; return their number."""
    with transaction(engine) as connection:
        health = connection.execute(statement("gauges/select_exchanges")).all()
    values: dict[str, float] = {
        "cycle.rows": index_prices + sum(result.loaded.inserted for result in collected),
        "cycle.exchanges_failed": sum(1 for row in health if row.enabled and row.failures),
    }
    for row in health:
        if row.enabled:
            values[f"exchanges.{escape(row.code)}.errors"] = row.failures
            values[f"exchanges.{escape(row.code)}.not_trading"] = row.not_trading
    for result in collected:
        if result.blocked_until is None:
            path = f"exchanges.{escape(result.exchange)}"
            values[f"{path}.fetch_seconds"] = result.fetch_seconds
            values[f"{path}.quotes"] = result.quotes
            values[f"{path}.rejected"] = sum(result.loaded.rejected.values())
    send_gauges(settings, values)
    others = send_price_gauges(engine, settings, now) + send_gap_gauges(engine, settings, now)
    return len(values) + others + send_disk_gauges(engine, settings)


def evaluate_and_notify(engine: Engine, settings: Settings, now: datetime) -> AlertsResult:
    """Evaluate pending quotes, queue notifications, append the alerts to alerts.txt, and send the gauges.

    If the file can't be written, a warning is logged and the next run appends the missing lines.
    """
    policy = NotificationPolicy(
        settings.emails_per_day_per_address, settings.channels_enabled, settings.webhooks_enabled
    )
    result = store_alerts(engine, now, timedelta(minutes=settings.alert_max_age_minutes), policy)
    try:
        append_alerts(engine, settings.alerts_file)
    except OSError as error:
        log.warning("alerts not written to file", path=str(settings.alerts_file), error=str(error))
    kinds = {f"cycle.alerts.{kind}": result.kinds.get(kind, 0) for kind in get_args(Kind)}
    send_gauges(settings, {"cycle.alerts": result.alerts, **kinds})
    return result


def store_alerts(
    engine: Engine,
    now: datetime,
    max_age: timedelta = timedelta(hours=1),
    policy: NotificationPolicy = DEFAULT_POLICY,
) -> AlertsResult:
    """Store the alerts of all pending quotes together with their emails and the watermarks, in one transaction.

    If a run fails, nothing is stored and the next one evaluates the same quotes, so no quote is evaluated twice and no
    alert lacks its notification. Alerts on quotes older than ``max_age`` are late. Raises DatabaseError.
    """
    with transaction(engine) as connection:
        acquire_lock(connection, Lock.EVALUATION)
        evaluation = evaluate(connection, now, max_age)
        notified = notify(connection, now, policy, evaluation.expired)
    result = AlertsResult(
        quotes=evaluation.quotes,
        alerts=evaluation.alerts,
        emails=notified.emails,
        held=notified.held,
        kinds=evaluation.kinds,
    )
    log.info("alerts evaluated", **result.as_dict())
    return result


def deliver_and_report(engine: Engine, settings: Settings) -> DeliveryReport:
    """Send due emails and messages to other channels, and send the gauges."""
    sent = deliver_emails(engine, settings)
    channels = deliver_to_channels(engine, settings)
    now = utc_now()
    outbox = get_outbox_status(engine, now, settings.emails_per_day)
    oldest = outbox.oldest_queued_at
    send_gauges(
        settings,
        {
            "cycle.emails_sent": sent.sent,
            "cycle.emails_failed": sent.failed,
            "cycle.emails_retried": sent.retried,
            "cycle.channel_messages_sent": channels.sent,
            "cycle.outbox_queued": outbox.queued,
            "cycle.outbox_oldest_seconds": max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
            "notifications.held_alerts": outbox.held_alerts,
            "notifications.held_by_limit": outbox.held_by_limit,
            "notifications.suppressed_addresses": outbox.suppressed_addresses,
        },
    )
    result = DeliveryReport(sent, channels, outbox)
    log.info("outbox delivered", **result.as_dict())
    return result


def check_data(engine: Engine, settings: Settings, check: str, now: datetime) -> list[str]:
    """Run one of ``data_quality.CHECKS`` and send its gauge; return a message per problem found."""
    findings = CHECKS[check](engine, settings, now)
    for finding in findings:
        log.warning("data quality problem", check=check, problem=finding)
    send_gauges(settings, {f"quality.{check}.findings": len(findings)})
    return findings


def wait_for_collection(engine: Engine, settings: Settings, clock: Clock = utc_now, seconds: float = 120) -> None:
    """Wait up to ``seconds`` for the first cycle after a start, or after a suspended machine wakes up.

    Until then, all prices are stale. Returns immediately if all exchanges are being fetched.
    """
    deadline = time.monotonic() + seconds
    while collection_is_overdue(engine, settings, clock()) and time.monotonic() < deadline:
        time.sleep(1)


def drop_old_prices(
    engine: Engine, settings: Settings, now: datetime, *, sleep: Callable[[float], None] = time.sleep
) -> RetentionResult:
    """Drop old prices once they are in candles and evaluated; see ``prices.retention``. Raises DatabaseError."""
    return retention.drop_old_prices(engine, settings, now, partial(has_pending_quotes, engine), sleep=sleep)


def maintain_database(engine: Engine, settings: Settings, now: datetime) -> MaintenanceResult:
    """Run the daily maintenance, which the DAG maintain_database splits into tasks. Raises DatabaseError."""
    return MaintenanceResult(
        create_upcoming_partitions(engine, now.astimezone(UTC).date()),
        refresh_candles(engine).ranges,
        drop_old_prices(engine, settings, now),
        merge_candle_fetches(engine, now),
        delete_old_emails(engine, settings, now),
        erase_unconfirmed(engine, now),
        delete_old_access(engine, settings, now),
    )


def delete_old_access(engine: Engine, settings: Settings, now: datetime) -> int:
    """Delete old entries of the audit log, expired sessions, and calls that no rate limit counts anymore.

    Returns the number of rows. Raises DatabaseError.
    """
    expired = delete_expired(engine, now) + delete_expired_sessions(engine, now)
    return delete_old_entries(engine, settings, now) + expired
