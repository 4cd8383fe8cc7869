"""Commands for operators: database, exchanges, status."""

from datetime import datetime
from typing import Annotated

import typer

from coinwatch.cli.output import AsJson, ago, byte_size, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import create_engine, get_engine
from coinwatch.errors import CoinwatchError
from coinwatch.exchanges.probe import probe_exchanges
from coinwatch.migrations import migrate as run_migrations
from coinwatch.migrations import setup_database as create_database
from coinwatch.notifications.outbox import OutboxStatus
from coinwatch.pipeline import maintain_database
from coinwatch.prices import catalog
from coinwatch.prices.ingest.partitions import prepare_partitions
from coinwatch.settings import get_settings
from coinwatch.status import ExchangeHealth, SilentRules, Status, TableSize, exchange_health, pipeline_status

MOST_PAIRS = 3
LARGEST_TABLES = 8  # that the status shows; --json has all
HELD_FOR = {
    "digest": "until their digest",
    "quiet_hours": "in quiet hours",
    "daily_limit": "beyond their mails a day",
    "late": "until there is news",
    "suppressed": "whose address is refused",
}

app = typer.Typer()
exchanges = typer.Typer(help="Show exchanges, ask whether they answer, switch them on and off.", no_args_is_help=True)
app.add_typer(exchanges, name="exchanges")


@app.command()
def setup_database() -> None:
    """Create the database and its three roles (needs COINWATCH_DATABASE_ADMIN_URL); safe to run again."""
    settings = get_settings()
    urls = ("database_admin_url", "database_owner_url", "database_url", "database_reader_url")
    create_database(*(settings.require(url) for url in urls))
    typer.echo("The database and its roles are ready.")


@app.command()
def migrate() -> None:
    """Bring the tables up to date and write the configured exchanges and coins to them; safe to run again."""
    settings = get_settings()
    owner = create_engine(settings.require("database_owner_url" if settings.database_owner_url else "database_url"))
    ran = run_migrations(owner)
    owner.dispose()
    catalog.sync_catalog(get_engine(), settings, force=True)
    prepare_partitions(get_engine(), utc_now().date())
    typer.echo(f"Migrations run: {', '.join(ran)}" if ran else "The tables are up to date.")


@app.command()
def maintain(as_json: AsJson = False) -> None:
    """Do the day's upkeep: partitions ahead, candles that are behind, prices older than COINWATCH_PRICE_RETENTION_DAYS,
    mails older than COINWATCH_OUTBOX_RETENTION_DAYS.

    Exit code 1 when old prices had to be kept; the reason is on standard error.
    """
    result = maintain_database(get_engine(), get_settings(), utc_now())
    if as_json:
        show_json(result)
    else:
        days = ", ".join(day.isoformat() for day in result.prices.dropped) or "none"
        typer.echo(f"days of prices dropped: {days}")
        typer.echo(f"partitions made ahead: {result.partitions_made}")
        typer.echo(f"stretches whose candles were made: {result.stretches_refreshed}")
        typer.echo(f"rows of asked history joined: {result.fetches_merged}")
        typer.echo(f"old mails deleted: {result.emails_deleted}")
        typer.echo(f"addresses forgotten that nobody confirmed: {result.people_forgotten}")
    if result.prices.kept:
        raise CoinwatchError("\n  ".join(["Old prices had to be kept:", *result.prices.sentences]))


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show how the pipeline is doing."""
    now = utc_now()
    found = pipeline_status(get_engine(), now, get_settings().emails_per_day)
    if as_json:
        show_json(found)
        return
    for name, value in _summary(found).items():
        typer.echo(f"{name:<20} {value}")
    typer.echo("")
    _show_exchanges(found.exchanges)
    typer.echo("")
    _show_tables(found.disk[:LARGEST_TABLES])


@exchanges.command("list")
def list_exchanges(as_json: AsJson = False) -> None:
    """Show every exchange and how it is doing."""
    found = exchange_health(get_engine())
    if as_json:
        show_json(found)
    else:
        _show_exchanges(found)


@exchanges.command()
def probe(as_json: AsJson = False) -> None:
    """Ask every exchange whether it answers from here.

    The first time, those that answer are switched on. Later probes only tell.
    """
    settings, engine = get_settings(), get_engine()
    results = probe_exchanges(settings)
    undecided = set(catalog.unprobed_exchanges(engine, settings))
    catalog.record_probes(engine, {r.code: r.reachable for r in results if r.code in undecided}, utc_now())
    if as_json:
        show_json(results)
        return
    enabled = set(catalog.enabled_exchanges(engine))
    for result in results:
        typer.echo(f"{'on ' if result.code in enabled else 'off'} {result.code:<12} {result.message}")


@exchanges.command()
def enable(code: Annotated[str, typer.Argument(help="Exchange code.")]) -> None:
    """Fetch from this exchange from the next cycle on."""
    catalog.set_exchange_enabled(get_engine(), code, True)
    typer.echo(f"{code} is on.")


@exchanges.command()
def disable(code: Annotated[str, typer.Argument(help="Exchange code.")]) -> None:
    """Leave this exchange alone from the next cycle on."""
    catalog.set_exchange_enabled(get_engine(), code, False)
    typer.echo(f"{code} is off.")


def _summary(found: Status) -> dict[str, str]:
    now = utc_now()
    return {
        "newest price": ago(found.newest_price_at, now),
        "prices today": f"{found.prices_today} (since midnight UTC)",
        "subscriptions": _counts(found.subscriptions),
        "rules without price": _silent(found.silent_rules, now),
        "alerts in 24 h": _counts(found.alerts_24h),
        "alerts held": _held(found.outbox),
        "mails in 24 h": _mails(found.outbox),
        "mails waiting": _waiting(found.outbox, now),
        "addresses refused": _refused(found.outbox),
        "disk": byte_size(found.database_bytes),
    }


def _silent(found: list[SilentRules], now: datetime) -> str:
    """Rules that cannot fire, for the most watched pairs."""
    if not found:
        return "none"
    pairs = [
        f"{row.rules} on {row.base}/{row.quote} at {row.exchange} (last price {ago(row.last_price_at, now)})"
        for row in found[:MOST_PAIRS]
    ]
    rest = [f"and {len(found) - MOST_PAIRS} more pairs"] if len(found) > MOST_PAIRS else []
    return "; ".join([*pairs, *rest])


def _held(outbox: OutboxStatus) -> str:
    if not outbox.held_alerts:
        return "none"
    reasons = ", ".join(
        f"{people} {HELD_FOR.get(reason, reason)}" for reason, people in sorted(outbox.held_users.items())
    )
    return f"{outbox.held_alerts}, for people: {reasons}"


def _mails(outbox: OutboxStatus) -> str:
    told = f"{outbox.sent_24h} sent, {outbox.failed_24h} given up"
    return f"{told}. See: coinwatch outbox show --status failed" if outbox.failed_24h else told


def _waiting(outbox: OutboxStatus, now: datetime) -> str:
    if outbox.oldest_queued_at is None:
        return "none"
    told = [f"{outbox.queued}, the oldest queued {ago(outbox.oldest_queued_at, now)}"]
    if outbox.awaiting_retry:
        told.append(f"{outbox.awaiting_retry} to be tried again")
    if outbox.held_by_limit:
        told.append(f"{outbox.held_by_limit} held back by COINWATCH_EMAILS_PER_DAY")
    if outbox.most_common_error:
        told.append(f"most often because: {outbox.most_common_error}")
    return "; ".join(told)


def _refused(outbox: OutboxStatus) -> str:
    if not outbox.suppressed_addresses:
        return "none"
    return f"{outbox.suppressed_addresses} get no mail any more. Who and why: coinwatch outbox show --status failed"


def _counts(counts: object) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(dict(counts).items())) or "none"  # type: ignore[call-overload]


def _show_exchanges(found: list[ExchangeHealth]) -> None:
    now = utc_now()
    columns = {
        "exchange": lambda row: row.code,
        "state": _state,
        "last success": lambda row: ago(row.last_success_at, now),
        "trouble": lambda row: row.last_error or "",
    }
    show_table(found, columns, empty="No exchanges yet. Run: coinwatch migrate")


def _show_tables(found: list[TableSize]) -> None:
    columns = {
        "table": lambda row: row.table,
        "size": lambda row: byte_size(row.bytes),
        "rows, about": lambda row: f"{row.rows_estimate:,}",
        "days": lambda row: f"{row.partitions}, {row.first_day} to {row.last_day}" if row.partitions else "",
    }
    show_table(found, columns, right=("size", "rows, about"), empty="No tables yet. Run: coinwatch migrate")


def _state(row: ExchangeHealth) -> str:
    if not row.enabled:
        return "off"
    if row.blocked_until and row.blocked_until > utc_now():
        return f"pause until {row.blocked_until:%H:%M:%S} UTC"
    return f"failed {row.failures} times" if row.failures else "on"
