"""Fetch past candles: backfill, backfill-history."""

import time
from typing import Annotated

import typer

from coinwatch.audit import command_line_actor, record_start_and_outcome
from coinwatch.cli.options import AsJson
from coinwatch.cli.output import echo, progress_bar, show_json, show_reasons
from coinwatch.cli.parsing import parse_end, parse_time
from coinwatch.clock import utc_now
from coinwatch.database import get_engine, transaction
from coinwatch.errors import CoinwatchError, RateLimited
from coinwatch.prices.backfill.history import backfill_history
from coinwatch.prices.backfill.planning import delete_unavailable
from coinwatch.prices.backfill.run import Progress
from coinwatch.prices.backfill.runner import BackfillResult, backfill_range
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.catalog import find_watched_instruments
from coinwatch.settings import get_settings

SECONDS_BETWEEN_REFRESHES = 30.0

app = typer.Typer()


@app.command()
def backfill(
    exchange: Annotated[str, typer.Option(help="Exchange code, for example binance.")],
    first: Annotated[str, typer.Option("--from", help="First day (UTC), for example 2022-01-01, or a time.")],
    last: Annotated[str | None, typer.Option("--to", help="Last day (inclusive) or a time. Default: now.")] = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="Pair, for example BTC/USD. Repeatable. Default: all.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Fetch again what was already fetched or unavailable.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch past candles from an exchange and store them.

    Fetches one-minute candles, or hourly and daily candles where the exchange has no finer ones. You can interrupt the
    command at any time; run it again to continue. Exits with 1 if some candles could not be fetched; the others are
    stored.
    """
    engine, began = get_engine(), time.monotonic()
    start, end = parse_time("from", first), parse_end(last) if last else utc_now()
    with transaction(engine) as connection:
        chosen = find_watched_instruments(connection, exchange, instrument or ())
    refreshed_at, candles = began, 0
    recording = record_start_and_outcome(
        engine,
        command_line_actor(utc_now()),
        "candles.backfill",
        exchange.strip().lower(),
        start=start,
        end=end,
        pairs=instrument or "all",
        again=again,
    )
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
            with recording as outcome:
                if again:
                    delete_unavailable(engine, chosen, start, end)
                result = backfill_range(
                    engine, get_settings(), exchange, start, end, instruments=chosen, again=again, progress=report
                )
                outcome.update(new=result.stored.inserted, corrected=result.stored.corrected, failed=result.failed)
        except KeyboardInterrupt:
            echo(
                "Interrupted. Fetched candles are stored; to continue, run the same command without --again.", err=True
            )
            raise typer.Exit(130) from None
        except RateLimited as error:
            raise CoinwatchError(
                f"{error}. Fetched candles are stored; to continue, run the same command then."
            ) from error
        finally:
            refresh_candles(engine)
    if as_json:
        show_json(result)
    else:
        _show(exchange, result, time.monotonic() - began)
    result.raise_for_failed(exchange)


@app.command("backfill-history")
def fetch_history(as_json: AsJson = False) -> None:
    """Fetch the history of instruments that are new.

    The DAG backfill_history does this every 10 minutes. Fetches minutes of the last 30 days, then hours and days of the
    last COINWATCH_HISTORY_DAYS, from all enabled exchanges that offer candles. You can interrupt the command at any
    time; run it again to continue. Exits with 1 if an exchange did not respond.
    """
    engine, began = get_engine(), time.monotonic()
    with progress_bar() as show:

        def report(exchange: str, done: Progress) -> None:
            show(f"{exchange} {done.pair} {done.resolution} {done.time_range.start:%Y-%m-%d}", done.done / done.total)

        result = backfill_history(engine, get_settings(), progress=report)
    if as_json:
        show_json(result)
    else:
        completed = ", ".join(f"{count} on {code}" for code, count in result.completed.items()) or "none"
        echo(
            f"{result.candles:,} candles, {result.requests:,} requests, completed instruments: {completed} "
            f"({time.monotonic() - began:.1f} s)"
        )
        for name, reason in result.failed.items():
            echo(f"{name}: {reason}", err=True)
        if result.waiting:
            echo(f"Rate limited: {', '.join(result.waiting)}. To continue, run the same command later.")
    if result.errors:
        raise CoinwatchError("; ".join(f"{code}: {error}" for code, error in result.errors.items()))


def _show(exchange: str, result: BackfillResult, seconds: float) -> None:
    stored = result.stored
    echo(
        f"{exchange}: {stored.inserted:,} new candles, {stored.corrected:,} corrected, {stored.unchanged:,} unchanged, "
        f"{result.requests:,} requests, {result.unavailable:,} time ranges unavailable ({seconds:.1f} s)"
    )
    show_reasons({"rejected": result.rejected, "repaired": result.repaired, "kept, but unusual": result.unusual})
    if not result.requests and not result.failed:
        echo("Nothing left to fetch. To fetch it again, pass --again.")
