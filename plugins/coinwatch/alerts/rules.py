"""What a subscription may ask for: the kinds of rules, their bounds, and a rule in words."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from coinwatch.errors import InvalidRequest
from coinwatch.formatting import format_duration, format_percent, format_price

Kind = Literal["change_since_last", "change_over_window", "deviation_from_average", "crosses"]
Metric = Literal["price", "volume_24h"]
Direction = Literal["up", "down", "either"]

LOWEST_PERCENT, HIGHEST_PERCENT = 0.01, 1000.0
HIGHEST_LEVEL = 1e24
LONGEST_COOLDOWN = timedelta(days=30)
LAST_YEAR = 2999
SHORTEST_WINDOW = timedelta(minutes=1)
# A mean has to read every value of its window, a change only one.
LONGEST_WINDOW = {"change_over_window": timedelta(days=30), "deviation_from_average": timedelta(days=1)}
DEFAULT_WINDOW_SECONDS = {"change_over_window": 3600, "deviation_from_average": 300}
DEFAULT_DEVIATION_PERCENT = 2.0

MOVES = {"up": "rises by", "down": "falls by", "either": "moves by"}
CROSSES = {"up": "rises to", "down": "falls to", "either": "crosses"}
METRICS = {"price": "the price", "volume_24h": "the 24 h volume"}


@dataclass(frozen=True, slots=True)
class Rule:
    """When to tell somebody.

    ``threshold`` is in percent (2.5 is 2.5%), for ``crosses`` a level: quote currency for the price, base currency
    for the 24 h volume. ``window_seconds`` is 0 for kinds without a window. ``repeat`` False ends the rule with its
    first alert, ``expires_at`` (aware) ends it at that moment.
    """

    kind: Kind = "change_since_last"
    threshold: float = DEFAULT_DEVIATION_PERCENT
    direction: Direction = "either"
    metric: Metric = "price"
    window_seconds: int = 0
    cooldown_seconds: int = 0
    repeat: bool = True
    expires_at: datetime | None = None


def check_rule(rule: Rule, now: datetime) -> None:
    """InvalidRequest names the first field that makes no sense, and what would."""
    for field, value, choices in (
        ("kind", rule.kind, get_args(Kind)),
        ("metric", rule.metric, get_args(Metric)),
        ("direction", rule.direction, get_args(Direction)),
    ):
        if value not in choices:
            raise InvalidRequest(field, f"The {field} is one of {', '.join(choices)}, not {value!r}.")
    _check_threshold(rule)
    _check_window(rule)
    if not 0 <= rule.cooldown_seconds <= LONGEST_COOLDOWN.total_seconds():
        raise InvalidRequest("cooldown_seconds", f"The rest between alerts is 0 to {LONGEST_COOLDOWN.days} days.")
    if rule.expires_at is not None:
        if rule.expires_at.tzinfo is None:
            raise InvalidRequest("expires_at", "The end needs a time zone, for example 2026-01-31T12:00:00Z.")
        if rule.expires_at <= now:
            raise InvalidRequest("expires_at", "The end has to lie in the future.")
        if rule.expires_at.year > LAST_YEAR:  # the last days of year 9999 are no dates by the clocks of all zones
            raise InvalidRequest("expires_at", f"The end has to lie before the year {LAST_YEAR + 1}, or be left out.")


def describe(rule: Rule, quote: str, base: str) -> str:
    """The condition as a half sentence: "the price rises by 5% or more within 1 hour"."""
    what = METRICS[rule.metric]
    if rule.kind == "crosses":
        unit = quote if rule.metric == "price" else base
        return f"{what} {CROSSES[rule.direction]} {format_price(rule.threshold)} {unit}"
    amount = f"{what} {MOVES[rule.direction]} {format_percent(rule.threshold, decimals=6)} or more"
    if rule.kind == "change_over_window":
        return f"{amount} within {format_duration(rule.window_seconds)}"
    if rule.kind == "deviation_from_average":
        return f"{amount} against the average of the last {format_duration(rule.window_seconds)}"
    return f"{amount} from one value to the next"


def _check_threshold(rule: Rule) -> None:
    if rule.kind == "crosses":
        if not (math.isfinite(rule.threshold) and 0 < rule.threshold <= HIGHEST_LEVEL):
            raise InvalidRequest("threshold", "The level to cross has to be a number above zero.")
    elif not (math.isfinite(rule.threshold) and LOWEST_PERCENT <= rule.threshold <= HIGHEST_PERCENT):
        raise InvalidRequest(
            "threshold", f"The change has to be between {LOWEST_PERCENT} and {HIGHEST_PERCENT:.0f} percent."
        )


def _check_window(rule: Rule) -> None:
    longest = LONGEST_WINDOW.get(rule.kind)
    if longest is None:
        if rule.window_seconds:
            raise InvalidRequest("window_seconds", f"A rule of the kind {rule.kind} has no window.")
    elif not SHORTEST_WINDOW.total_seconds() <= rule.window_seconds <= longest.total_seconds():
        bounds = f"{format_duration(SHORTEST_WINDOW)} to {format_duration(longest)}"
        raise InvalidRequest("window_seconds", f"The window of this kind of rule is {bounds}.")
