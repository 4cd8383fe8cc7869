"""Run the steps of a cycle without Airflow: collect, evaluate-alerts, deliver-emails."""

import typer

from coinwatch.cli.options import AsJson
from coinwatch.cli.output import echo, show_json
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import CoinwatchError
from coinwatch.notifications.channels import ChannelResult
from coinwatch.pipeline import collect_prices, deliver_and_report, evaluate_and_notify
from coinwatch.settings import get_settings

app = typer.Typer()


@app.command()
def collect(as_json: AsJson = False) -> None:
    """Fetch prices from all enabled exchanges.

    Stores them, computes the index and sends gauges. Exits with 1 if an exchange failed; the prices of the others are
    stored.
    """
    result = collect_prices(get_engine(), get_settings(), utc_now())
    if as_json:
        show_json(result)
    else:
        for collected in result.collected:
            if collected.blocked_until:
                echo(f"{collected.exchange}: rate limited until {collected.blocked_until:%H:%M:%S} UTC")
            else:
                loaded = collected.loaded
                echo(
                    f"{collected.exchange}: {collected.quotes} quotes, {loaded.inserted} new, "
                    f"{loaded.repeated} repeated, {loaded.conflicting} conflicting, "
                    f"{sum(loaded.rejected.values())} rejected ({collected.fetch_seconds:.2f} s)"
                )
        echo(f"index: {result.index_prices} new prices")
    if result.failed:
        raise CoinwatchError("Some exchanges failed:\n  " + "\n  ".join(result.failed.values()))


@app.command()
def evaluate_alerts(as_json: AsJson = False) -> None:
    """Evaluate alerts against new prices and queue emails.

    Appends the alerts that fired to alerts.txt.
    """
    result = evaluate_and_notify(get_engine(), get_settings(), utc_now())
    if as_json:
        show_json(result)
    else:
        held = f", alerts held for {result.held} subscribers" if result.held else ""
        echo(f"{result.quotes} quotes evaluated, {result.alerts} alerts fired, {result.emails} emails queued{held}")


@app.command()
def deliver_emails(as_json: AsJson = False) -> None:
    """Send due emails and messages to other channels."""
    result = deliver_and_report(get_engine(), get_settings())
    if as_json:
        show_json(result.as_dict())
    else:
        echo(
            f"{result.emails.sent} sent, {result.emails.retried} to be retried, {result.emails.failed} failed, "
            f"{result.outbox.queued} queued"
        )
        if result.outbox.held_by_limit:
            echo(f"{result.outbox.held_by_limit} held by the daily limit (COINWATCH_EMAILS_PER_DAY)")
        if result.channels != ChannelResult():
            echo(f"other channels: {result.channels.sent} sent, {result.channels.retried} to be retried")
