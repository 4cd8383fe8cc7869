"""Manage the database: setup-database, migrate, maintain."""

import typer

from coinwatch import migrations
from coinwatch.audit import command_line_actor, record_action
from coinwatch.cli.options import AsJson
from coinwatch.cli.output import echo, show_json
from coinwatch.clock import utc_now
from coinwatch.database import create_engine, get_engine
from coinwatch.errors import CoinwatchError
from coinwatch.pipeline import apply_corporate_actions, maintain_database
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.ingest.partitions import create_upcoming_partitions
from coinwatch.settings import get_settings

app = typer.Typer()


@app.command()
def setup_database() -> None:
    """Create the database and its roles.

    Requires COINWATCH_DATABASE_ADMIN_URL. Safe to run again.
    """
    settings = get_settings()
    urls = ("database_admin_url", "database_owner_url", "database_url", "database_reader_url")
    migrations.setup_database(*(settings.require(url) for url in urls))
    echo("The database and its roles are ready.")


@app.command()
def migrate() -> None:
    """Run pending migrations.

    Also loads the configured exchanges and coins into the database, and the retention of prices. Safe to run again.
    """
    settings = get_settings()
    owner = create_engine(settings.require("database_owner_url" if settings.database_owner_url else "database_url"))
    ran = migrations.migrate(owner, price_retention_days=settings.price_retention_days)
    owner.dispose()
    sync_catalog(get_engine(), settings, force=True)
    apply_corporate_actions(get_engine(), settings, utc_now())
    create_upcoming_partitions(get_engine(), utc_now().date())
    if ran:
        record_action(get_engine(), command_line_actor(utc_now()), "database.migrate", ran[-1], migrations=ran)
    echo(f"Migrations run: {', '.join(ran)}" if ran else "No pending migrations.")


@app.command()
def maintain(as_json: AsJson = False) -> None:
    """Run the daily maintenance.

    Creates partitions, refreshes candles, and deletes old prices and emails (COINWATCH_PRICE_RETENTION_DAYS,
    COINWATCH_OUTBOX_RETENTION_DAYS). Exits with 1 if old prices could not be dropped.
    """
    result = maintain_database(get_engine(), get_settings(), utc_now())
    if as_json:
        show_json(result)
    else:
        days = ", ".join(day.isoformat() for day in result.prices.dropped) or "none"
        echo(f"days of prices dropped: {days}")
        echo(f"partitions created: {result.partitions_created}")
        echo(f"time ranges of candles refreshed: {result.time_ranges_refreshed}")
        echo(f"backfill records merged: {result.fetches_merged}")
        echo(f"old emails deleted: {result.emails_deleted}")
        echo(f"unconfirmed addresses deleted: {result.users_erased}")
        echo(f"old audit entries, sessions and rate limits deleted: {result.access_rows_deleted}")
    if result.prices.kept:
        raise CoinwatchError("\n  ".join(["Some old prices could not be dropped:", *result.prices.sentences]))
