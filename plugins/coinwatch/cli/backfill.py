"""The command that fetches candles of the past: backfill."""

import time
from datetime import datetime, timedelta
from typing import Annotated

import typer

from coinwatch.cli.output import AsJson, progress_bar, show_json
from coinwatch.cli.parsing import moment
from coinwatch.clock import utc_now
from coinwatch.database import get_engine, transaction
from coinwatch.errors import CoinwatchError, RateLimited
from coinwatch.prices.backfill.planning import delete_unavailable
from coinwatch.prices.backfill.run import Progress
from coinwatch.prices.backfill.runner import BackfillResult, backfill_range
from coinwatch.prices.candles.storage import refresh_candles
from coinwatch.prices.catalog import watched_pairs
from coinwatch.settings import get_settings

SECONDS_BETWEEN_REFRESHES = 30.0
A_DAY = len("2026-01-31")

app = typer.Typer()


@app.command()
def backfill(
    exchange: Annotated[str, typer.Option(help="Exchange code, for example binance.")],
    first: Annotated[str, typer.Option("--from", help="First day (UTC) such as 2022-01-01, or a moment.")],
    last: Annotated[
        str | None, typer.Option("--to", help="Last day, included, or a moment; now when left out.")
    ] = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="Pair such as BTC/USD, may be repeated; all when left out.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask also for what was answered before, stored or unavailable.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch an exchange's own candles of the past and store them.

    Minutes, and where the exchange no longer has these hours, then days. Can be interrupted at any time: the same
    command goes on where it was. Exit code 1 when something could not be fetched; the rest is stored.
    """
    engine, began = get_engine(), time.monotonic()
    start, end = moment("from", first), _end(last)
    with transaction(engine) as connection:
        chosen = watched_pairs(connection, exchange, instrument or ())
    if again:
        delete_unavailable(engine, chosen, start, end)
    refreshed_at, candles = began, 0
    with progress_bar() as show:

        def report(done: Progress) -> None:
            nonlocal refreshed_at, candles
            candles += done.candles
            text = f"{done.pair} {done.resolution} {done.time_range.start:%Y-%m-%d}, {candles:,} candles"
            show(text, done.done / done.total)
            if time.monotonic() - refreshed_at >= SECONDS_BETWEEN_REFRESHES:
                refresh_candles(engine)
                refreshed_at = time.monotonic()

        try:
            result = backfill_range(
                engine, get_settings(), exchange, start, end, instruments=chosen, again=again, progress=report
            )
        except KeyboardInterrupt:
            typer.echo("Interrupted. What was fetched is stored; the same command without --again goes on.", err=True)
            raise typer.Exit(130) from None
        except RateLimited as error:
            raise CoinwatchError(f"{error}. What came before is stored; the same command goes on then.") from error
        finally:
            refresh_candles(engine)
    if as_json:
        show_json(result)
    else:
        _show(exchange, result, time.monotonic() - began)
    result.raise_for_failed(exchange)


def _end(text: str | None) -> datetime:
    if text is None:
        return utc_now()
    return moment("to", text) + (timedelta(days=1) if len(text) == A_DAY else timedelta(0))


def _show(exchange: str, result: BackfillResult, seconds: float) -> None:
    stored = result.stored
    typer.echo(
        f"{exchange}: {stored.inserted:,} candles new, {stored.corrected:,} corrected, {stored.unchanged:,} unchanged, "
        f"{result.requests:,} requests, {result.unavailable:,} stretches unavailable ({seconds:.1f} s)"
    )
    if not result.requests and not result.failed:
        typer.echo("There was nothing left to ask for; --again asks once more.")
