"""The options that describe an alert rule, shared by ``subscribe`` and ``backtest``."""

from typing import Annotated

import typer

from coinwatch.alerts.rules import DEFAULT_WINDOW_SECONDS, Direction, Kind, Metric, Rule
from coinwatch.cli.parsing import parse_duration

CoinArgument = Annotated[str, typer.Argument(help="Coin code or name, for example BTC or bitcoin.")]
ThresholdArgument = Annotated[
    float, typer.Argument(help="Change in percent, for example 5 or 0.5. For --kind crosses: the price level.")
]
KindOption = Annotated[
    Kind,
    typer.Option(
        help="What the price is compared with: the last price, the price one window ago, the average over the window, "
        "or a level."
    ),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        help="Window, for example 5m or 1h. Default: 1h for change_over_window, 5m for deviation_from_average."
    ),
]
DirectionOption = Annotated[Direction, typer.Option(help="Direction of the change.")]
MetricOption = Annotated[Metric, typer.Option(help="Price or rolling 24 h volume.")]
CooldownOption = Annotated[str, typer.Option(help="Minimum pause after an alert, for example 30m or 1d.")]
OnceOption = Annotated[bool, typer.Option("--once", help="End after the first alert.")]
ExchangeOption = Annotated[str | None, typer.Option(help="Exchange code. Default: the index over all exchanges.")]
QuoteOption = Annotated[str | None, typer.Option(help="Quote currency. Default: USD.")]


def build_rule(
    kind: Kind, threshold: float, direction: Direction, metric: Metric, window: str | None, cooldown: str, once: bool
) -> Rule:
    """The rule that a command's options describe. Raises InvalidRequest for a malformed duration."""
    window_seconds = DEFAULT_WINDOW_SECONDS.get(kind, 0)
    if window:
        window_seconds = int(parse_duration("window", window).total_seconds())
    cooldown_seconds = int(parse_duration("cooldown", cooldown).total_seconds())
    return Rule(kind, threshold, direction, metric, window_seconds, cooldown_seconds, not once)
