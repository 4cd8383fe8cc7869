"""The ``coinwatch`` command: all subcommands, and error messages without tracebacks."""

import sys

import typer

from coinwatch import __version__
from coinwatch.cli.alerts import backtest, channels, outbox, subscribers, subscriptions
from coinwatch.cli.operations import database, exchanges, pipeline, servers, status
from coinwatch.cli.prices import backfill, data_checks, gaps, history, latest, transfer
from coinwatch.errors import CoinwatchError
from coinwatch.logs import configure_logs

app = typer.Typer(
    help="Monitor crypto prices: collect and store them, query them, and send alerts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (
    pipeline,
    latest,
    history,
    backfill,
    gaps,
    subscriptions,
    subscribers,
    backtest,
    transfer,
    database,
    exchanges,
    status,
    outbox,
    channels,
    data_checks,
    servers,
):
    app.add_typer(module.app)


@app.callback(invoke_without_command=True)
def show_version(version: bool = typer.Option(False, "--version", help="Show the version and exit.")) -> None:
    if version:
        typer.echo(f"coinwatch {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point. Exits with 1 and a message on standard error if a command fails."""
    configure_logs()
    try:
        app()
    except CoinwatchError as error:
        typer.secho(f"coinwatch: {error}", err=True, fg="red" if sys.stderr.isatty() else None)
        sys.exit(1)
