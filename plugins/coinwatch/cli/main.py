"""``coinwatch``: all commands in one place, and errors as one sentence."""

import sys

import typer

from coinwatch import __version__
from coinwatch.cli import (
    backfill,
    channels,
    data_checks,
    gaps,
    history,
    operations,
    outbox,
    pipeline,
    prices,
    rules,
    servers,
    subscribers,
    subscriptions,
    transfer,
)
from coinwatch.errors import CoinwatchError
from coinwatch.logs import configure_logs

app = typer.Typer(
    help="Watch crypto prices: fetch, keep, show, and tell people when they move.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for room in (
    pipeline,
    prices,
    history,
    backfill,
    gaps,
    subscriptions,
    subscribers,
    rules,
    transfer,
    operations,
    outbox,
    channels,
    data_checks,
    servers,
):
    app.add_typer(room.app)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Show the version and stop.")) -> None:
    if version:
        typer.echo(f"coinwatch {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: exit code 0, or 1 after one sentence on standard error."""
    configure_logs()
    try:
        app()
    except CoinwatchError as error:
        typer.secho(f"coinwatch: {error}", err=True, fg="red" if sys.stderr.isatty() else None)
        sys.exit(1)
