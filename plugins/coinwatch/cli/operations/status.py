"""Show the state of the pipeline: status."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import typer

from coinwatch.cli.operations.exchanges import show_exchanges
from coinwatch.cli.options import AsJson
from coinwatch.cli.output import ago, echo, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.formatting import format_bytes, format_count
from coinwatch.notifications.outbox import OutboxStatus
from coinwatch.prices.backfill.history import HistoryProgress
from coinwatch.settings import get_settings
from coinwatch.status import StaleSubscriptions, Status, TableSize, TradingHalt, pipeline_status

MAX_PAIRS = 3
MAX_TABLES = 8
HELD_FOR = {
    "digest": "until their digest",
    "quiet_hours": "during quiet hours",
    "daily_limit": "by their daily limit",
    "late": "until their next alert",
    "suppressed": "with a suppressed address",
}

app = typer.Typer()


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the state of the pipeline.

    Covers prices, alerts, emails, exchanges and disk usage.
    """
    now = utc_now()
    settings = get_settings()
    freshness = timedelta(seconds=settings.index_freshness_seconds)
    found = pipeline_status(
        get_engine(),
        now,
        settings.emails_per_day,
        index_freshness=freshness,
        history_days=settings.history_days,
    )
    if as_json:
        show_json(found)
        return
    for name, value in _summary(found, now).items():
        echo(f"{name:<22} {value}")
    echo("")
    show_exchanges(found.exchanges)
    echo("")
    _show_tables(found.disk[:MAX_TABLES])


def _summary(found: Status, now: datetime) -> dict[str, str]:
    return {
        "newest price": ago(found.newest_price_at, now),
        "prices today": f"{found.prices_today:,} (since midnight UTC)",
        "subscriptions": _counts(found.subscriptions),
        "without recent price": _stale(found.stale_subscriptions, now),
        "not trading": _halts(found.trading_halts, now),
        "price problems": "; ".join(found.price_problems) or "none",
        "history": _history(found.history),
        "alerts in 24 h": _counts(found.alerts_24h),
        "held alerts": _held(found.outbox),
        "emails in 24 h": _emails(found.outbox),
        "queued emails": _queued(found.outbox, now),
        "suppressed addresses": _suppressed(found.outbox),
        "disk": format_bytes(found.database_bytes),
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "none"


def _stale(found: list[StaleSubscriptions], now: datetime) -> str:
    return _first(
        f"{format_count(row.subscriptions, 'subscription')} to {row.base}/{row.quote} at {row.exchange} "
        f"(last price {ago(row.last_price_at, now)})"
        for row in found
    )


def _halts(found: list[TradingHalt], now: datetime) -> str:
    return _first(
        f"{row.base}/{row.quote} at {row.exchange} ({row.status}: {row.term}, since {ago(row.since, now)})"
        for row in found
    )


def _history(found: list[HistoryProgress]) -> str:
    """``coinnews 365 of 365 days of 8 instruments; kraken …``, those that are not complete first."""
    texts = []
    for each in sorted(found, key=lambda each: each.complete == each.instruments):
        text = f"{each.exchange} {each.days_fetched:.0f} of {format_count(each.days, 'day')} of "
        text += format_count(each.instruments, "instrument")
        if each.error:
            text += f" ({each.error.splitlines()[0]})"
        elif each.complete < each.instruments:
            text = f"fetching {text}"
        texts.append(text)
    return "; ".join(texts) or "none"


def _first(pairs: Iterable[str]) -> str:
    """The first few pairs, and how many more there are."""
    listed = list(pairs)
    more = len(listed) - MAX_PAIRS
    rest = [f"and {format_count(more, 'more pair')}"] if more > 0 else []
    return "; ".join([*listed[:MAX_PAIRS], *rest]) or "none"


def _held(outbox: OutboxStatus) -> str:
    if not outbox.held_alerts:
        return "none"
    reasons = ", ".join(
        f"{users} {HELD_FOR.get(reason, reason)}" for reason, users in sorted(outbox.held_users.items())
    )
    return f"{outbox.held_alerts}; subscribers: {reasons}"


def _emails(outbox: OutboxStatus) -> str:
    text = f"{outbox.sent_24h} sent, {outbox.failed_24h} failed"
    if not outbox.failed_24h:
        return text
    if outbox.most_common_failure:
        text += f"; most common error: {outbox.most_common_failure.removesuffix('.')}"
    return f"{text}. See: coinwatch outbox show --status failed"


def _queued(outbox: OutboxStatus, now: datetime) -> str:
    if outbox.oldest_queued_at is None:
        return "none"
    parts = [f"{outbox.queued}, the oldest queued {ago(outbox.oldest_queued_at, now)}"]
    if outbox.awaiting_retry:
        parts.append(f"{outbox.awaiting_retry} to be retried")
    if outbox.held_by_limit:
        parts.append(f"{outbox.held_by_limit} held by the daily limit (COINWATCH_EMAILS_PER_DAY)")
    if outbox.most_common_error:
        parts.append(f"most common error: {outbox.most_common_error}")
    return "; ".join(parts)


def _suppressed(outbox: OutboxStatus) -> str:
    if not outbox.suppressed_addresses:
        return "none"
    return f"{outbox.suppressed_addresses}. See: coinwatch outbox show --status failed"


def _show_tables(found: list[TableSize]) -> None:
    columns = {
        "table": lambda row: row.table,
        "size": lambda row: format_bytes(row.bytes),
        "rows (estimate)": lambda row: f"{row.rows_estimate:,}",
        "days": lambda row: f"{row.partitions}, {row.first_day} to {row.last_day}" if row.partitions else "",
    }
    show_table(found, columns, right=("size", "rows (estimate)"), empty="No tables yet. Run: coinwatch migrate")
