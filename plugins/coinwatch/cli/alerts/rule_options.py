"""The options that describe an alert rule, shared by ``subscribe`` and ``backtest``."""

import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from coinwatch.alerts.rules import (
    DEFAULT_COOLDOWN_SECONDS,
    DEFAULT_EXTREME_COOLDOWN_SECONDS,
    DEFAULT_PERCENT,
    DEFAULT_PERIOD,
    EXTREMES,
    Direction,
    Kind,
    Metric,
    Period,
    Rule,
    build_rule,
    threshold_field,
)
from coinwatch.errors import InvalidRequest
from coinwatch.time_range import parse_duration

DEFAULT_COOLDOWN = f"{DEFAULT_COOLDOWN_SECONDS // 3600}h"
DEFAULT_EXTREME_COOLDOWN = f"{DEFAULT_EXTREME_COOLDOWN_SECONDS // 86_400}d"
NEGATIVE_NUMBER = re.compile(r"-[0-9.]+")

ThresholdArgument = Annotated[
    float | None,
    typer.Argument(help=f"Change in percent, for example 5 or 0.5. Default: {DEFAULT_PERCENT:g}.", show_default=False),
]
ThresholdOption = Annotated[float | None, typer.Option("--threshold", help="The same as the argument.")]
LevelOption = Annotated[
    float | None, typer.Option("--level", help="Fire when the price crosses this level, instead of a change.")
]
KindOption = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        help="What the price is compared with: the price one window ago, the average over the window, the last price, "
        "a level, or the highest or lowest price of a period. Default: crosses with --level, new_high with --period, "
        "otherwise change_over_window.",
    ),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        help="Window, for example 300s, 5m or 1h. Default: 1h for change_over_window, 5m for deviation_from_average.",
    ),
]
DirectionOption = Annotated[Direction, typer.Option("--direction", help="Direction of the change.")]
MetricOption = Annotated[Metric, typer.Option("--metric", help="Price or rolling 24 h volume.")]
PeriodOption = Annotated[
    Period | None,
    typer.Option(
        "--period",
        help=f"Period of new_high and new_low; all for all time. Default: {DEFAULT_PERIOD}.",
        show_default=False,
    ),
]
LadderOption = Annotated[
    float | None,
    typer.Option(
        "--ladder",
        help="Fire again at every further N%, while the condition holds. For crosses and change_over_window.",
    ),
]
CooldownOption = Annotated[
    str | None,
    typer.Option(
        "--cooldown",
        help="Minimum pause after an alert, for example 30m or 1d; 0 for none. Default: "
        f"{DEFAULT_COOLDOWN}, and {DEFAULT_EXTREME_COOLDOWN} for new_high and new_low.",
        show_default=False,
    ),
]
OnceOption = Annotated[bool, typer.Option("--once", help="End after the first alert.")]


class CommandWithNegativeNumbers(TyperCommand):
    """A command that reads -5 as a number instead of an option, so that the error is about the number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.ignore_unknown_options = any(NEGATIVE_NUMBER.fullmatch(argument) for argument in args)
        return super().parse_args(ctx, args)


def parse_rule(
    argument: float | None,
    threshold: float | None,
    level: float | None,
    kind: Kind | None,
    direction: Direction,
    metric: Metric,
    window: str | None,
    cooldown: str | None,
    *,
    once: bool,
    period: Period | None = None,
    ladder: float | None = None,
) -> Rule:
    """The rule that a command's options describe. Raises InvalidRequest.

    For kind crosses, the ``argument`` is the level.
    """
    if argument is not None and threshold is not None:
        raise InvalidRequest("threshold", "Pass the threshold either as an argument or as --threshold.")
    if argument is not None and kind == "crosses" and level is None:
        argument, level = None, argument
    if level is not None and (argument is not None or threshold is not None):
        raise InvalidRequest("level", "Pass either a change in percent or --level.")
    percent = argument if threshold is None else threshold
    if percent is None and level is None and _needs_percent(kind, period):
        percent = DEFAULT_PERCENT
    return build_rule(
        kind=kind,
        threshold_percent=percent,
        level=level,
        direction=direction,
        metric=metric,
        window_seconds=int(parse_duration("--window", window).total_seconds()) if window else None,
        period=period,
        cooldown_seconds=None if cooldown is None else int(parse_duration("--cooldown", cooldown).total_seconds()),
        repeat=not once,
        ladder_percent=ladder,
    )


def _needs_percent(kind: Kind | None, period: Period | None) -> bool:
    """Whether the rule has a change in percent that is not optional."""
    if kind is None:
        return period is None
    return threshold_field(kind) == "threshold_percent" and kind not in EXTREMES
