"""How a rule is written on the command line, and the command that tries one on history."""

from datetime import timedelta
from typing import Annotated

import typer

from coinwatch.alerts.backtest import Backtest
from coinwatch.alerts.backtest import backtest as try_rule
from coinwatch.alerts.rules import DEFAULT_WINDOW_SECONDS, Direction, Kind, Metric, Rule, describe
from coinwatch.cli.output import AsJson, show_json, show_table
from coinwatch.cli.times import duration, moment
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.mail.words import format_price

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
    as_json: AsJson = False,
) -> None:
    """Show when a rule would have told you, over the stored history; nothing is mailed or changed."""
    until = moment("to", end) if end else utc_now()
    since = moment("from", start) if start else until - duration("last", last)
    rule = make_rule(kind, threshold, direction, metric, window, cooldown, once)
    found = try_rule(get_engine(), rule, coin, exchange, quote, start=since, end=until)
    if as_json:
        show_json(found)
        return
    columns = {
        "observed (UTC)": lambda alert: alert.observed_at,
        "value": lambda alert: format_price(alert.price),
        "against": lambda alert: format_price(alert.reference),
        "change": lambda alert: f"{alert.change_percent:+.2f} %",
    }
    show_table(found.alerts, columns, right=("value", "against", "change"), empty="It would have told you nothing.")
    typer.echo(_summary(found, rule))


def _summary(found: Backtest, rule: Rule) -> str:
    words = describe(rule, found.quote, found.base)
    days = (found.end - found.start) / timedelta(days=1)
    text = (
        f"{found.base}/{found.quote} at {found.exchange}, when {words}: {len(found.alerts)} alerts in {days:.1f} days, "
        f"{found.per_week:.1f} a week, out of {found.quotes:,} values."
    )
    if found.quotes == 0:
        text += " There is no history in this range: see coinwatch backfill and coinwatch import."
    elif found.minutes_before:
        text += (
            f" Before {found.minutes_before:%Y-%m-%d %H:%M} UTC only the closes of minutes are kept and were judged."
        )
    return text
