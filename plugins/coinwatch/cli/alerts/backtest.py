"""Test an alert on stored history: backtest."""

import csv
import sys
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Annotated

import typer

from coinwatch.alerts import backtest as backtests
from coinwatch.alerts.backtest import Backtest, PastAlert
from coinwatch.alerts.backtest_summary import summarize
from coinwatch.alerts.rules import Rule, describe
from coinwatch.cli.alerts.rule_options import (
    CommandWithNegativeNumbers,
    CooldownOption,
    DirectionOption,
    KindOption,
    LadderOption,
    LevelOption,
    MetricOption,
    OnceOption,
    PeriodOption,
    ThresholdArgument,
    ThresholdOption,
    WindowOption,
    parse_rule,
)
from coinwatch.cli.options import (
    AsJson,
    CoinArgument,
    ExchangeOption,
    FromOption,
    LastOption,
    QuoteOption,
    ToOption,
)
from coinwatch.cli.output import echo, percent, show_json, show_table
from coinwatch.cli.parsing import parse_period
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.formatting import format_count, format_price, format_timestamp, plain_number
from coinwatch.web.schemas.forms import DEFAULT_DAYS
from coinwatch.web.schemas.subscriptions import BacktestResponse

BARS = "▁▂▃▄▅▆▇█"
MAX_BARS = 60

app = typer.Typer()


@app.command(cls=CommandWithNegativeNumbers)
def backtest(
    coin: CoinArgument,
    threshold: ThresholdArgument = None,
    threshold_option: ThresholdOption = None,
    level: LevelOption = None,
    kind: KindOption = None,
    window: WindowOption = None,
    exchange: ExchangeOption = None,
    quote: QuoteOption = None,
    direction: DirectionOption = "either",
    metric: MetricOption = "price",
    period: PeriodOption = None,
    ladder: LadderOption = None,
    cooldown: CooldownOption = None,
    once: OnceOption = False,
    last: LastOption = None,
    start: FromOption = None,
    end: ToOption = None,
    limit: Annotated[int, typer.Option(min=0, help="Maximum number of alerts to list, newest last; 0 for all.")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write all alerts to standard output as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show when an alert would have fired on stored history.

    By default over the last 30 days, as in the form. Nothing is sent or changed.
    """
    since, until = parse_period(last, start, end, utc_now(), default=timedelta(days=DEFAULT_DAYS))
    rule = parse_rule(
        threshold,
        threshold_option,
        level,
        kind,
        direction,
        metric,
        window,
        cooldown,
        once=once,
        period=period,
        ladder=ladder,
    )
    found = backtests.backtest(get_engine(), rule, coin, exchange, quote, start=since, end=until)
    if as_json:
        show_json(BacktestResponse.create(found, rule, until_now=end is None))
        return
    if as_csv:
        _write_csv(found.alerts)
        return
    if found.first_at is None:
        echo(
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
        echo(f"Showing the newest {limit} of {len(found.alerts):,}. To see all, pass --limit 0, --csv or --json.")
    if found.alerts:
        echo(_draw_bars(found))
    echo(_summary(found, rule, until_now=end is None))


def _write_csv(alerts: list[PastAlert]) -> None:
    columns = [each.name for each in fields(PastAlert)]
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    for alert in alerts:
        moments = {
            "observed_at": alert.observed_at.isoformat(),
            "reference_at": alert.reference_at and alert.reference_at.isoformat(),
        }
        numbers = {name: plain_number(getattr(alert, name)) for name in ("price", "reference", "change_percent")}
        writer.writerow(asdict(alert) | moments | numbers)


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


def _summary(found: Backtest, rule: Rule, *, until_now: bool) -> str:
    summary = " ".join(summarize(found, rule, until_now=until_now)).strip()
    text = (
        f"{found.base}/{found.quote} at {found.exchange}, when {describe(rule, found.quote, found.base)}: "
        f"{format_count(len(found.alerts), 'alert')} from {format_count(found.quotes, 'quote')}. {summary}"
    )
    if found.minutes_before:
        text += f" Before {format_timestamp(found.minutes_before)}, the closes of one-minute candles were evaluated."
    return text
