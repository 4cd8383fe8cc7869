"""Manage gaps in the stored prices: list, find, repair, retry."""

from datetime import timedelta
from typing import Annotated

import typer

from coinwatch.audit import command_line_actor, record_start_and_outcome
from coinwatch.cli.options import AsJson, CoinFilter, ExchangeFilter
from coinwatch.cli.output import echo, show_json, show_table
from coinwatch.cli.parsing import parse_day
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import CoinwatchError, InvalidRequest
from coinwatch.formatting import format_count
from coinwatch.prices.backfill.gaps import FindResult, Gap, Status, find_gaps, find_new_gaps, list_gaps, retry_gaps
from coinwatch.prices.backfill.repair import RepairResult, repair_gaps, summarize_repairs
from coinwatch.settings import get_settings
from coinwatch.time_range import parse_duration

app = typer.Typer()
gaps = typer.Typer(help="Show, find and repair gaps in the stored prices.")
app.add_typer(gaps, name="gaps")

Last = Annotated[str, typer.Option(help="Period up to now, for example 30m, 24h, 7d or 4w.")]


@gaps.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    exchange: ExchangeFilter = None,
    coin: CoinFilter = None,
    last: Last = "7d",
    status: Annotated[Status | None, typer.Option(help="Only this status.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show recent gaps, newest first."""
    if context.invoked_subcommand:
        return
    found = list_gaps(
        get_engine(), since=utc_now() - parse_duration("--last", last), exchange=exchange, coin=coin, status=status
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
        "status": lambda row: row.status,
        "reason": lambda row: row.reason or "",
    }
    show_table(found, columns, right=("minutes",), empty=f"No gaps in the last {last}.")


@gaps.command()
def find(
    first: Annotated[
        str | None,
        typer.Option("--from", help="First day (UTC). Default: where the last check ended, at the latest yesterday."),
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day (UTC). Default: today.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find gaps, and check open gaps again."""
    now = utc_now()
    if first is None and last is None:
        _show_found(find_new_gaps(get_engine(), get_settings(), now), as_json)
        return
    last_day = parse_day("to", last) if last else now.date()
    first_day = parse_day("from", first) if first else now.date() - timedelta(days=1)
    if first_day > last_day:
        raise InvalidRequest("from", f"--from {first_day} is after --to {last_day}.")
    _show_found(find_gaps(get_engine(), get_settings(), first_day, last_day, now), as_json)


@gaps.command()
def repair(as_json: AsJson = False) -> None:
    """Fill open gaps with candles from the exchanges.

    Marks gaps as unavailable if the exchange no longer has their candles. Exits with 1 if an exchange failed; its gaps
    remain open.
    """
    engine, actor = get_engine(), command_line_actor(utc_now())
    with record_start_and_outcome(engine, actor, "gaps.repair") as outcome:
        results, failed = repair_gaps(engine, get_settings())
        outcome.update(summarize_repairs(results, failed))
    failed |= {f"{result.exchange} {pair}": reason for result in results for pair, reason in result.failed.items()}
    if as_json:
        show_json({"results": results, "failed": failed})
    else:
        for result in results:
            echo(_describe(result))
        if not results and not failed:
            echo("Nothing to repair. Gaps are repaired once they are a few minutes old.")
    if failed:
        lines = [f"{name}: {reason}" for name, reason in failed.items()]
        raise CoinwatchError("Some gaps could not be repaired:\n  " + "\n  ".join(lines))


@gaps.command()
def retry(exchange: ExchangeFilter = None, coin: CoinFilter = None, last: Last = "7d") -> None:
    """Reopen unavailable gaps.

    The next repair tries to fill them again.
    """
    now = utc_now()
    since = now - parse_duration("--last", last)
    number = retry_gaps(get_engine(), since=since, exchange=exchange, coin=coin, actor=command_line_actor(now))
    if number:
        echo(f"{format_count(number, 'gap')} reopened. Next, run: coinwatch gaps repair")
    else:
        echo("No matching gaps.")


def _show_found(found: FindResult, as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        echo(f"{found.found} new or longer, {found.filled} filled since, {found.open} open")


def _end(row: Gap) -> str:
    midnight = row.ended_at.date() > row.day
    return "24:00" if midnight else f"{row.ended_at:%H:%M}"


def _describe(result: RepairResult) -> str:
    return f"{result.exchange}: {result.filled} filled, {result.unavailable} unavailable ({result.requests} requests)"
