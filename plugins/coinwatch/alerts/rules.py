"""The kinds of alert rules, their limits, and their description."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from coinwatch.errors import InvalidRequest, Problems
from coinwatch.formatting import format_duration, format_percent, format_price

Kind = Literal["change_since_last", "change_over_window", "deviation_from_average", "crosses"]
Metric = Literal["price", "volume_24h"]
Direction = Literal["up", "down", "either"]

REQUIRED = "This field is required."
LOWEST_PERCENT, HIGHEST_PERCENT = 0.01, 1000.0
HIGHEST_LEVEL = 1e24
LONGEST_COOLDOWN = timedelta(days=30)
LAST_YEAR = 2999
SHORTEST_WINDOW = timedelta(minutes=1)
# A mean reads every value of its window, a change only one.
LONGEST_WINDOW = {"change_over_window": timedelta(days=30), "deviation_from_average": timedelta(days=1)}
DEFAULT_WINDOW_SECONDS = {"change_over_window": 3600, "deviation_from_average": 300}
DEFAULT_DEVIATION_PERCENT = 2.0
# What a person gets who gives no more than a coin, in the form, the API and on the command line alike. The cooldown
# protects subscribers from too many emails.
DEFAULT_KIND: Kind = "change_over_window"
DEFAULT_PERCENT = 5.0
DEFAULT_COOLDOWN_SECONDS = 3600

CHANGES = {"up": "rises by", "down": "falls by", "either": "moves by"}
DEVIATIONS = {
    "up": "rises {} or more above",
    "down": "falls {} or more below",
    "either": "moves {} or more away from",
}
CROSSES = {"up": "rises to", "down": "falls to", "either": "reaches"}
METRICS = {"price": "the price", "volume_24h": "the 24 h volume"}


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alert fires.

    ``threshold`` is in percent (2.5 is 2.5%); for ``crosses`` it is a level, in the quote currency for the price and in
    the base currency for the 24 h volume. ``window_seconds`` is 0 for kinds without a window. After an alert, none
    fires for ``cooldown_seconds``. With ``repeat`` False the first alert ends the rule; ``expires_at`` (time zone
    required) ends it at that time.
    """

    kind: Kind = "change_since_last"
    threshold: float = DEFAULT_DEVIATION_PERCENT
    direction: Direction = "either"
    metric: Metric = "price"
    window_seconds: int = 0
    cooldown_seconds: int = 0
    repeat: bool = True
    expires_at: datetime | None = None


def build_rule(
    *,
    kind: Kind | None = None,
    threshold_percent: float | None = None,
    level: float | None = None,
    direction: Direction = "either",
    metric: Metric = "price",
    window_seconds: int | None = None,
    cooldown_seconds: int = DEFAULT_COOLDOWN_SECONDS,
    repeat: bool = True,
    expires_at: datetime | None = None,
) -> Rule:
    """The rule that a request describes; ``check_rule`` checks its values.

    Without ``kind``, a ``level`` makes it ``crosses``, anything else DEFAULT_KIND. Raises InvalidRequest unless exactly
    the kind's own threshold is given.
    """
    kind = kind or ("crosses" if level is not None else DEFAULT_KIND)
    values = {"threshold_percent": threshold_percent, "level": level}
    field = threshold_field(kind)
    threshold = values.pop(field)
    [(other, unexpected)] = values.items()
    if unexpected is not None:
        raise InvalidRequest(other, f"A rule of kind {kind} has no {other}; use {field}.")
    if threshold is None:
        raise InvalidRequest(field, REQUIRED)
    window = DEFAULT_WINDOW_SECONDS.get(kind, 0) if window_seconds is None else window_seconds
    return Rule(kind, threshold, direction, metric, window, cooldown_seconds, repeat, expires_at)


def threshold_field(kind: Kind) -> str:
    """The name of a kind's threshold in requests and responses."""
    return "level" if kind == "crosses" else "threshold_percent"


def check_rule(rule: Rule, now: datetime) -> None:
    """Raise InvalidRequest for all invalid fields, with the value and the allowed ones."""
    problems = Problems()
    for field, value, choices in (
        ("kind", rule.kind, get_args(Kind)),
        ("metric", rule.metric, get_args(Metric)),
        ("direction", rule.direction, get_args(Direction)),
    ):
        with problems.collecting():
            if value not in choices:
                raise InvalidRequest(field, f"{field} is {value!r}; it must be one of {', '.join(choices)}.")
    for check in (_check_threshold, _check_window, _check_cooldown):
        with problems.collecting():
            check(rule)
    with problems.collecting():
        _check_expiry(rule, now)
    problems.raise_any()


def describe(rule: Rule, quote: str, base: str) -> str:
    """Return the condition as a clause: "the price rises by 5% or more within 1 hour"."""
    what = METRICS[rule.metric]
    if rule.kind == "crosses":
        unit = quote if rule.metric == "price" else base
        return f"{what} {CROSSES[rule.direction]} {format_price(rule.threshold)} {unit}"
    percent = format_percent(rule.threshold, decimals=6)
    if rule.kind == "deviation_from_average":
        deviation = DEVIATIONS[rule.direction].format(percent)
        window = format_duration(rule.window_seconds).removeprefix("1 ")  # "the last hour", "the last 5 minutes"
        return f"{what} {deviation} its average over the last {window}"
    change = f"{what} {CHANGES[rule.direction]} {percent} or more"
    if rule.kind == "change_over_window":
        return f"{change} within {format_duration(rule.window_seconds)}"
    return f"{change} between two updates"


def _check_threshold(rule: Rule) -> None:
    if rule.kind == "crosses":
        if not (math.isfinite(rule.threshold) and 0 < rule.threshold <= HIGHEST_LEVEL):
            raise InvalidRequest(
                "level", f"The level is {rule.threshold:g}; it must be greater than zero, up to {HIGHEST_LEVEL:g}."
            )
    elif not (math.isfinite(rule.threshold) and LOWEST_PERCENT <= rule.threshold <= HIGHEST_PERCENT):
        problem = (
            f"The change is {rule.threshold:g}%; it must be between {LOWEST_PERCENT}% and {HIGHEST_PERCENT:,.0f}%."
        )
        falls = " For a fall, choose the direction down." if rule.threshold < 0 else ""
        raise InvalidRequest("threshold_percent", problem + falls)


def _check_window(rule: Rule) -> None:
    longest = LONGEST_WINDOW.get(rule.kind)
    if longest is None:
        if rule.window_seconds:
            raise InvalidRequest(
                "window_seconds", f"window_seconds must be 0: a rule of kind {rule.kind} has no window."
            )
        return
    for bound, outside, name in (
        (SHORTEST_WINDOW, rule.window_seconds < SHORTEST_WINDOW.total_seconds(), "minimum"),
        (longest, rule.window_seconds > longest.total_seconds(), "maximum"),
    ):
        if outside:
            raise InvalidRequest(
                "window_seconds",
                f"window_seconds is {rule.window_seconds}; the {name} is {bound.total_seconds():.0f}.",
            )


def _check_cooldown(rule: Rule) -> None:
    if not 0 <= rule.cooldown_seconds <= LONGEST_COOLDOWN.total_seconds():
        raise InvalidRequest(
            "cooldown_seconds",
            f"cooldown_seconds is {rule.cooldown_seconds}; it must be between 0 and "
            f"{LONGEST_COOLDOWN.total_seconds():.0f} ({format_duration(LONGEST_COOLDOWN)}).",
        )


def _check_expiry(rule: Rule, now: datetime) -> None:
    if rule.expires_at is not None:
        if rule.expires_at.tzinfo is None:
            raise InvalidRequest("expires_at", "expires_at needs a time zone, for example 2026-01-31T12:00:00Z.")
        if rule.expires_at <= now:
            raise InvalidRequest("expires_at", "The end date must be in the future.")
        if rule.expires_at.year > LAST_YEAR:  # the last days of year 9999 are not valid dates in every time zone
            raise InvalidRequest("expires_at", f"The end date must be before the year {LAST_YEAR + 1}.")
