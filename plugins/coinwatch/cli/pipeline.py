"""Commands that do a cycle's work without Airflow: collect, match-alerts, deliver-emails."""

import typer

from coinwatch.cli.output import AsJson, show_json
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import CoinwatchError
from coinwatch.notifications.channels import ChannelResult
from coinwatch.pipeline import collect_prices, deliver_and_report, evaluate_and_notify
from coinwatch.settings import get_settings

app = typer.Typer()


@app.command()
def collect(as_json: AsJson = False) -> None:
    """Fetch prices from every enabled exchange, load them, compute the index, push gauges.

    Exit code 1 when an exchange failed; the others are loaded all the same.
    """
    result = collect_prices(get_engine(), get_settings(), utc_now())
    if as_json:
        show_json(result)
    else:
        for collected in result.collected:
            if collected.blocked_until:
                typer.echo(f"{collected.exchange}: rests until {collected.blocked_until:%H:%M:%S} UTC")
            else:
                loaded = collected.loaded
                typer.echo(
                    f"{collected.exchange}: {collected.quotes} quotes, {loaded.inserted} new, "
                    f"{loaded.repeated} repeated, "
                    f"{loaded.conflicting} conflicting, {sum(loaded.rejected.values())} rejected "
                    f"({collected.fetch_seconds:.2f} s)"
                )
        typer.echo(f"index: {result.index_prices} new prices")
    if result.failed:
        raise CoinwatchError("Some exchanges failed:\n  " + "\n  ".join(result.failed.values()))


@app.command()
def match_alerts(as_json: AsJson = False) -> None:
    """Judge all new quotes by the subscriptions; queue mails, append to alerts.txt."""
    result = evaluate_and_notify(get_engine(), get_settings(), utc_now())
    if as_json:
        show_json(result)
    else:
        held = f", {result.held} people have to wait for theirs" if result.held else ""
        typer.echo(f"{result.quotes} quotes evaluated, {result.alerts} alerts, {result.emails} emails queued{held}")


@app.command()
def deliver_emails(as_json: AsJson = False) -> None:
    """Send the mails that are due, and what is due on other channels."""
    result = deliver_and_report(get_engine(), get_settings())
    if as_json:
        show_json(result.as_dict())
    else:
        typer.echo(
            f"{result.emails.sent} sent, {result.emails.retried} to be tried again, {result.emails.failed} given up, "
            f"{result.outbox.queued} waiting"
        )
        if result.outbox.held_by_limit:
            typer.echo(f"{result.outbox.held_by_limit} wait because COINWATCH_EMAILS_PER_DAY is reached")
        if result.channels != ChannelResult():
            typer.echo(f"other channels: {result.channels.sent} sent, {result.channels.retried} to be tried again")
