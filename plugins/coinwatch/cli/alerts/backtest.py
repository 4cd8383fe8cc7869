"""Test an alert on stored history: backtest."""

import csv
import sys
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Annotated

import typer

from coinwatch.alerts import backtest as backtests
from coinwatch.alerts.backtest import Backtest, PastAlert
from coinwatch.alerts.rules import Rule, describe
from coinwatch.cli.alerts.rule_options import (
    CoinArgument,
    CooldownOption,
    DirectionOption,
    ExchangeOption,
    KindOption,
    MetricOption,
    OnceOption,
    QuoteOption,
    ThresholdArgument,
    WindowOption,
    build_rule,
)
from coinwatch.cli.output import AsJson, percent, show_json, show_table
from coinwatch.cli.parsing import parse_duration, parse_time
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.formatting import format_count, format_price, format_timestamp

BARS = "▁▂▃▄▅▆▇█"
MAX_BARS = 60

app = typer.Typer()


@app.command()
def backtest(
    coin: CoinArgument,
    threshold: ThresholdArgument,
    kind: KindOption = "change_since_last",
    window: WindowOption = None,
    exchange: ExchangeOption = None,
    quote: QuoteOption = None,
    direction: DirectionOption = "either",
    metric: MetricOption = "price",
    cooldown: CooldownOption = "0m",
    once: OnceOption = False,
    last: Annotated[str, typer.Option(help="Period up to now, for example 24h, 7d or 4w.")] = "4w",
    start: Annotated[
        str | None, typer.Option("--from", help="Start time (ISO 8601; UTC if it has no offset). Overrides --last.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End time. Default: now.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Maximum number of alerts to list, newest last; 0 for all.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write all alerts to standard output as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show when an alert would have fired on stored history.

    Nothing is sent or changed.
    """
    until = parse_time("to", end) if end else utc_now()
    since = parse_time("from", start) if start else until - parse_duration("last", last)
    rule = build_rule(kind, threshold, direction, metric, window, cooldown, once)
    found = backtests.backtest(get_engine(), rule, coin, exchange, quote, start=since, end=until)
    if as_json:
        show_json(
            {
                "rule": rule,
                "per_week": found.per_week,
                **{each.name: getattr(found, each.name) for each in fields(found)},
            }
        )
        return
    if as_csv:
        _write_csv(found.alerts)
        return
    if found.first_at is None:
        typer.echo(
            f"No data for {found.base}/{found.quote} at {found.exchange} from {format_timestamp(found.start)} to "
            f"{format_timestamp(found.end)}. Fetch it with coinwatch backfill or coinwatch import, or choose "
            "another period."
        )
        return
    columns = {
        "observed": lambda alert: alert.observed_at,
        "value": lambda alert: format_price(alert.price),
        "reference": lambda alert: format_price(alert.reference),
        "reference from": lambda alert: alert.reference_at,
        "change": lambda alert: percent(alert.change_percent),
    }
    listed = found.alerts[-limit:] if limit else found.alerts
    show_table(listed, columns, right=("value", "reference", "change"), empty="The alert would not have fired.")
    if len(listed) < len(found.alerts):
        typer.echo(f"Showing the newest {limit} of {len(found.alerts):,}. To see all, pass --limit 0, --csv or --json.")
    if found.alerts:
        typer.echo(_draw_bars(found))
    typer.echo(_summary(found, rule))


def _write_csv(alerts: list[PastAlert]) -> None:
    columns = [each.name for each in fields(PastAlert)]
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    for alert in alerts:
        moments = {
            "observed_at": alert.observed_at.isoformat(),
            "reference_at": alert.reference_at and alert.reference_at.isoformat(),
        }
        writer.writerow(asdict(alert) | moments)


def _draw_bars(found: Backtest) -> str:
    """One bar per day, or per several days to fit the width."""
    first = found.first_at or found.start
    days = max(1, -(-(found.end - first) // timedelta(days=MAX_BARS)))
    step = timedelta(days=days)
    counts = [0] * -(-(found.end - first) // step)
    for alert in found.alerts:
        counts[min((alert.observed_at - first) // step, len(counts) - 1)] += 1
    highest = max(counts)
    bars = "".join(BARS[-(-count * (len(BARS) - 1) // highest)] if count else " " for count in counts)
    each = f"{days} days" if days > 1 else "day"
    return f"{first:%Y-%m-%d} |{bars}| {found.end:%Y-%m-%d}: one bar per {each}, up to {highest:,}"


def _summary(found: Backtest, rule: Rule) -> str:
    days = (found.end - found.start) / timedelta(days=1)
    text = (
        f"{found.base}/{found.quote} at {found.exchange}, when {describe(rule, found.quote, found.base)}: "
        f"{format_count(len(found.alerts), 'alert')} in {days:.1f} days, {found.per_week:.1f} per week, "
        f"from {format_count(found.quotes, 'quote')}."
    )
    if found.first_at and found.first_at - found.start > timedelta(days=1):
        text += f" History starts at {format_timestamp(found.first_at)}; the weekly rate is calculated from then on."
    if found.minutes_before:
        text += f" Before {format_timestamp(found.minutes_before)}, the closes of one-minute candles were evaluated."
    return text
