"""Manage exchanges: list, probe, enable, disable."""

from typing import Annotated

import typer

from coinwatch.audit import command_line_actor
from coinwatch.cli.options import AsJson
from coinwatch.cli.output import ago, echo, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.exchanges.probe import probe_exchanges
from coinwatch.prices import catalog
from coinwatch.settings import get_settings
from coinwatch.status import ExchangeHealth, exchange_health

app = typer.Typer()
exchanges = typer.Typer(help="Show, probe, enable and disable exchanges.", no_args_is_help=True)
app.add_typer(exchanges, name="exchanges")

Code = Annotated[str, typer.Argument(help="Exchange code, for example kraken.")]


@exchanges.command("list")
def list_exchanges(as_json: AsJson = False) -> None:
    """List exchanges and their state."""
    found = exchange_health(get_engine())
    if as_json:
        show_json(found)
    else:
        show_exchanges(found)


@exchanges.command()
def probe(as_json: AsJson = False) -> None:
    """Check which exchanges this machine can reach.

    The first probe enables the exchanges that respond. Later probes change nothing.
    """
    settings, engine = get_settings(), get_engine()
    results = probe_exchanges(settings)
    undecided = set(catalog.list_unprobed_exchanges(engine, settings))
    reachable = {result.code: result.reachable for result in results if result.code in undecided}
    now = utc_now()
    catalog.record_probes(engine, reachable, now, actor=command_line_actor(now))
    if as_json:
        show_json(results)
        return
    enabled = set(catalog.list_enabled_exchanges(engine))
    for result in results:
        state = "enabled" if result.code in enabled else "disabled"
        echo(f"{state:<8} {result.code:<12} {result.message}")


@exchanges.command()
def enable(code: Code) -> None:
    """Start fetching from this exchange."""
    catalog.set_exchange_enabled(get_engine(), code, True, actor=command_line_actor(utc_now()))
    echo(f"{code} enabled.")


@exchanges.command()
def disable(code: Code) -> None:
    """Stop fetching from this exchange."""
    catalog.set_exchange_enabled(get_engine(), code, False, actor=command_line_actor(utc_now()))
    echo(f"{code} disabled.")


def show_exchanges(found: list[ExchangeHealth]) -> None:
    """Print a table of exchanges."""
    now = utc_now()
    columns = {
        "exchange": lambda row: row.code,
        "state": _state,
        "last success": lambda row: ago(row.last_success_at, now),
        "last error": lambda row: row.last_error or "",
    }
    show_table(found, columns, empty="No exchanges yet. Run: coinwatch migrate")


def _state(row: ExchangeHealth) -> str:
    if not row.enabled:
        return "disabled"
    if row.blocked_until and row.blocked_until > utc_now():
        return f"rate limited until {row.blocked_until:%H:%M:%S} UTC"
    return f"failed {row.failures} times" if row.failures else "enabled"
