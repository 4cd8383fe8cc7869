"""Commands for gaps in the stored prices: gaps, gaps find, gaps repair, gaps retry."""

from datetime import timedelta
from typing import Annotated

import typer

from coinwatch.cli.output import AsJson, show_json, show_table
from coinwatch.cli.parsing import day, duration
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import CoinwatchError, InvalidRequest
from coinwatch.prices.backfill.gaps import Gap, Status, find_gaps, list_gaps, retry_gaps
from coinwatch.prices.backfill.repair import RepairResult, repair_gaps
from coinwatch.settings import get_settings

app = typer.Typer()
gaps = typer.Typer(help="Show, find and repair gaps in the stored prices.")
app.add_typer(gaps, name="gaps")

Exchange = Annotated[str | None, typer.Option(help="Only this exchange, by code.")]
Coin = Annotated[str | None, typer.Option(help="Only this coin, by code or name.")]
Last = Annotated[str, typer.Option(help="How far back: 30m, 24h, 7d, 4w.")]


@gaps.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    exchange: Exchange = None,
    coin: Coin = None,
    last: Last = "7d",
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the gaps of the last days, newest first."""
    if context.invoked_subcommand:
        return
    found = list_gaps(
        get_engine(), since=utc_now() - duration("last", last), exchange=exchange, coin=coin, status=status
    )
    if as_json:
        show_json(found)
        return
    columns = {
        "exchange": lambda row: row.exchange,
        "pair": lambda row: f"{row.base}/{row.quote}",
        "from (UTC)": lambda row: f"{row.started_at:%Y-%m-%d %H:%M}",
        "to": _end,
        "minutes": lambda row: (row.ended_at - row.started_at) // timedelta(minutes=1),
        "state": lambda row: row.status,
        "why": lambda row: row.reason or "",
    }
    show_table(found, columns, right=("minutes",), empty=f"No gaps in the last {last}.")


@gaps.command()
def find(
    first: Annotated[str | None, typer.Option("--from", help="First UTC day; yesterday when left out.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last UTC day; today when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for gaps in some days, and again at those that are open."""
    now = utc_now()
    last_day = day("to", last) if last else now.date()
    first_day = day("from", first) if first else now.date() - timedelta(days=1)
    if first_day > last_day:
        raise InvalidRequest("from", f"--from {first_day} lies after --to {last_day}.")
    found = find_gaps(get_engine(), get_settings(), first_day, last_day, now)
    if as_json:
        show_json(found)
    else:
        typer.echo(f"{found.found} new or longer, {found.filled} filled meanwhile, {found.open} open")


@gaps.command()
def repair(as_json: AsJson = False) -> None:
    """Ask the exchanges for the candles of all open gaps; mark what they no longer have.

    Exit code 1 when an exchange did not answer; its gaps stay open.
    """
    results, failed = repair_gaps(get_engine(), get_settings())
    failed |= {f"{result.exchange} {pair}": reason for result in results for pair, reason in result.failed.items()}
    if as_json:
        show_json({"results": results, "failed": failed})
    else:
        for result in results:
            typer.echo(_sentence(result))
        if not results and not failed:
            typer.echo("No gap to ask for: nothing is open, or only for some minutes.")
    if failed:
        lines = [f"{what}: {reason}" for what, reason in failed.items()]
        raise CoinwatchError("Some gaps stay open:\n  " + "\n  ".join(lines))


@gaps.command()
def retry(exchange: Exchange = None, coin: Coin = None, last: Last = "7d") -> None:
    """Open gaps that were given up, so that the next repair asks for them once more."""
    number = retry_gaps(get_engine(), since=utc_now() - duration("last", last), exchange=exchange, coin=coin)
    typer.echo(f"{number} gaps are open again. Now: coinwatch gaps repair" if number else "No such gap was given up.")


def _end(row: Gap) -> str:
    midnight = row.ended_at.date() > row.day
    return "24:00" if midnight else f"{row.ended_at:%H:%M}"


def _sentence(result: RepairResult) -> str:
    return (
        f"{result.exchange}: {result.filled} filled, {result.unavailable} cannot be filled "
        f"({result.requests} calls to the exchange)"
    )
