"""How a rule is written on the command line, and the command that tries one on history."""

import csv
import sys
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Annotated

import typer

from coinwatch.alerts.backtest import Backtest, PastAlert
from coinwatch.alerts.backtest import backtest as try_rule
from coinwatch.alerts.rules import DEFAULT_WINDOW_SECONDS, Direction, Kind, Metric, Rule, describe
from coinwatch.cli.output import AsJson, percent, show_json, show_table
from coinwatch.cli.parsing import duration, moment
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.formatting import format_price

BARS = "▁▂▃▄▅▆▇█"
WIDEST_PICTURE = 60

app = typer.Typer()

KindOption = Annotated[
    Kind,
    typer.Option(help="Compare with the value before, the value a window ago, the average of a window, or a level."),
]
WindowOption = Annotated[
    str | None, typer.Option(help="Window such as 5m or 1h; an hour for a change, 5 minutes for an average.")
]
DirectionOption = Annotated[Direction, typer.Option(help="Which way it has to move.")]
MetricOption = Annotated[Metric, typer.Option(help="The price, or the rolling 24 h volume.")]
CooldownOption = Annotated[str, typer.Option(help="Rest after an alert, such as 30m or 1d.")]
OnceOption = Annotated[bool, typer.Option("--once", help="End with the first alert.")]
ExchangeOption = Annotated[str | None, typer.Option(help="Exchange code; the index of all exchanges when left out.")]
QuoteOption = Annotated[str | None, typer.Option(help="Currency; the dollar when left out.")]


def make_rule(
    kind: Kind, threshold: float, direction: Direction, metric: Metric, window: str | None, cooldown: str, once: bool
) -> Rule:
    """The rule of a command's options; InvalidRequest names the option that makes no sense."""
    length = int(duration("window", window).total_seconds()) if window else DEFAULT_WINDOW_SECONDS.get(kind, 0)
    rest = int(duration("cooldown", cooldown).total_seconds())
    return Rule(kind, threshold, direction, metric, length, rest, not once)


@app.command()
def backtest(
    coin: Annotated[str, typer.Argument(help="The coin, by code or name: BTC or bitcoin.")],
    threshold: Annotated[float, typer.Argument(help="Percent: 5 or 0.5. For the kind crosses, the level.")],
    kind: KindOption = "change_since_last",
    window: WindowOption = None,
    exchange: ExchangeOption = None,
    quote: QuoteOption = None,
    direction: DirectionOption = "either",
    metric: MetricOption = "price",
    cooldown: CooldownOption = "0m",
    once: OnceOption = False,
    last: Annotated[str, typer.Option(help="How far back: 24h, 7d, 4w.")] = "4w",
    start: Annotated[
        str | None, typer.Option("--from", help="From this moment (ISO 8601, UTC without a zone) instead of --last.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Up to this moment; now when left out.")] = None,
    most: Annotated[int, typer.Option(min=0, help="List so many alerts, the newest; 0 lists all.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="All alerts as CSV, for a spreadsheet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show when a rule would have told you, over the stored history; nothing is mailed or changed."""
    until = moment("to", end) if end else utc_now()
    since = moment("from", start) if start else until - duration("last", last)
    rule = make_rule(kind, threshold, direction, metric, window, cooldown, once)
    found = try_rule(get_engine(), rule, coin, exchange, quote, start=since, end=until)
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
        market = f"{found.base}/{found.quote} at {found.exchange}"
        typer.echo(
            f"There are no values of {market} from {found.start:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC: "
            "see coinwatch backfill and coinwatch import, or ask for another time."
        )
        return
    columns = {
        "observed (UTC)": lambda alert: alert.observed_at,
        "value": lambda alert: format_price(alert.price),
        "against": lambda alert: format_price(alert.reference),
        "of (UTC)": lambda alert: alert.reference_at,
        "change": lambda alert: percent(alert.change_percent),
    }
    listed = found.alerts[-most:] if most else found.alerts
    show_table(listed, columns, right=("value", "against", "change"), empty="It would have told you nothing.")
    if len(listed) < len(found.alerts):
        typer.echo(
            f"The newest {most}; --most 0 lists all {len(found.alerts):,}, --csv and --json give them to programs."
        )
    if found.alerts:
        typer.echo(_picture(found))
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


def _picture(found: Backtest) -> str:
    """A bar for every day, or for so many days that the picture fits."""
    first = found.first_at or found.start
    days = max(1, -(-(found.end - first) // timedelta(days=WIDEST_PICTURE)))
    step = timedelta(days=days)
    counts = [0] * -(-(found.end - first) // step)
    for alert in found.alerts:
        counts[min((alert.observed_at - first) // step, len(counts) - 1)] += 1
    highest = max(counts)
    bars = "".join(BARS[-(-count * (len(BARS) - 1) // highest)] if count else " " for count in counts)
    each = f"{days} days" if days > 1 else "day"
    return f"{first:%Y-%m-%d} |{bars}| {found.end:%Y-%m-%d}: a bar for every {each}, {highest:,} at most"


def _summary(found: Backtest, rule: Rule) -> str:
    words = describe(rule, found.quote, found.base)
    days = (found.end - found.start) / timedelta(days=1)
    number = f"{len(found.alerts):,} alert{'' if len(found.alerts) == 1 else 's'}"
    text = (
        f"{found.base}/{found.quote} at {found.exchange}, when {words}: {number} in {days:.1f} days, "
        f"{found.per_week:.1f} a week, out of {found.quotes:,} values."
    )
    if found.first_at and found.first_at - found.start > timedelta(days=1):
        text += f" History begins {found.first_at:%Y-%m-%d %H:%M} UTC; a week counts from there."
    if found.minutes_before:
        text += (
            f" Before {found.minutes_before:%Y-%m-%d %H:%M} UTC only the closes of minutes are kept and were judged."
        )
    return text
