"""The ``coinwatch`` command: all subcommands, and error messages without tracebacks."""

import copy
import io
import sys
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from coinwatch import __version__
from coinwatch.cli.alerts import backtest, channels, outbox, subscribers, subscriptions
from coinwatch.cli.operations import access, database, exchanges, pipeline, servers, status
from coinwatch.cli.output import echo
from coinwatch.cli.prices import backfill, data_checks, gaps, history, latest, transfer
from coinwatch.errors import CoinwatchError, InvalidRequest
from coinwatch.formatting import CONTROL_CHARACTER
from coinwatch.logs import configure_logs

FAILURE, USAGE_ERROR = 1, 2

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
    access,
    servers,
):
    app.add_typer(module.app)


def main() -> None:
    """Entry point. Exits with 2 for a usage error and with 1 for a failure, with a message on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or pipe that is not UTF-8 gets escapes, not a traceback
            stream.reconfigure(errors="backslashreplace")
    configure_logs(enabled=False)
    try:
        _check_arguments(sys.argv[1:])
        build_command()()
    except CoinwatchError as error:
        echo(f"coinwatch: {error}", err=True, color="red")
        sys.exit(USAGE_ERROR if isinstance(error, InvalidRequest) else FAILURE)


def build_command() -> TyperGroup:
    """The command with all its subcommands, each of which takes --verbose, too."""
    command = cast("TyperGroup", typer.main.get_command(app))
    [verbose] = [option for option in command.params if option.name == "verbose"]
    inherited = copy.copy(verbose)
    inherited.expose_value = False  # its callback acts on it; the commands don't receive it
    _add_option(command, inherited)
    return command


def _enable_logs(verbose: bool) -> None:
    if verbose:
        configure_logs()


@app.callback(invoke_without_command=True)
def show_version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Write logs to standard error.", callback=_enable_logs, is_eager=True),
    ] = False,
) -> None:
    if version:
        echo(f"coinwatch {__version__}")
        raise typer.Exit


def _add_option(group: TyperGroup, option: Any) -> None:
    """Add an option to all commands below the group."""
    for command in group.commands.values():
        command.params.append(option)
        if isinstance(command, TyperGroup):
            _add_option(command, option)


def _check_arguments(arguments: list[str]) -> None:
    """Raise InvalidRequest for control characters and invalid UTF-8, which error messages would print."""
    for number, argument in enumerate(arguments, 1):
        if CONTROL_CHARACTER.search(argument):
            raise InvalidRequest("", f"Argument {number} contains control characters: {argument!r}. Remove them.")
