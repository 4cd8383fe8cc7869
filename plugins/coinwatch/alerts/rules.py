"""The kinds of alert rules, their limits, and their description."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from coinwatch.errors import InvalidRequest, Problems
from coinwatch.formatting import format_duration, format_percent, format_price

Kind = Literal["change_since_last", "change_over_window", "deviation_from_average", "crosses", "new_high", "new_low"]
Metric = Literal["price", "volume_24h"]
Direction = Literal["up", "down", "either"]
Period = Literal["24h", "7d", "30d", "52w", "all"]

REQUIRED = "This field is required."
LOWEST_PERCENT, HIGHEST_PERCENT = 0.01, 1000.0
HIGHEST_LEVEL = 1e24
LONGEST_COOLDOWN = timedelta(days=30)
LAST_YEAR = 2999
# The periods of new_high and new_low in seconds; 0 is all time.
PERIODS: dict[Period, int] = {"24h": 86_400, "7d": 604_800, "30d": 2_592_000, "52w": 31_449_600, "all": 0}
PERIOD_ADJECTIVES: dict[Period, str] = {
    "24h": "24-hour",
    "7d": "7-day",
    "30d": "30-day",
    "52w": "52-week",
    "all": "all-time",
}
# The 24 h volume is read from stored quotes, which are not kept as long as candles.
VOLUME_PERIODS: tuple[Period, ...] = ("24h", "7d")
ALL_TIME_HISTORY = timedelta(days=1)  # without a day of history, every value would be an all-time high or low
EXTREMES: dict[Kind, Direction] = {"new_high": "up", "new_low": "down"}
LADDER_KINDS: tuple[Kind, ...] = ("crosses", "change_over_window")
LOWEST_LADDER, HIGHEST_LADDER = 0.1, 50.0
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
# While a price rises steadily, every value is a new high.
DEFAULT_EXTREME_COOLDOWN_SECONDS = 86_400
DEFAULT_PERIOD: Period = "30d"

CHANGES = {"up": "rises by", "down": "falls by", "either": "moves by"}
DEVIATIONS = {
    "up": "rises {} or more above",
    "down": "falls {} or more below",
    "either": "moves {} or more away from",
}
CROSSES = {"up": "rises to", "down": "falls to", "either": "reaches"}
EXTREME_NAMES = {"new_high": "high", "new_low": "low"}
METRICS = {"price": "the price", "volume_24h": "the 24 h volume"}


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alert fires.

    ``threshold`` is in percent (2.5 is 2.5%); for ``crosses`` it is a level, in the quote currency for the price and in
    the base currency for the 24 h volume; for ``new_high`` and ``new_low`` it is how far beyond the previous extreme,
    usually 0. ``window_seconds`` is 0 for kinds without a window; for ``new_high`` and ``new_low`` it is one of
    PERIODS. After an alert, none fires for ``cooldown_seconds``. With ``repeat`` False the first alert ends the rule;
    ``expires_at`` (time zone required) ends it at that time. With ``ladder_percent`` of N, it fires again at every
    further N%, while its condition holds.
    """

    kind: Kind = "change_since_last"
    threshold: float = DEFAULT_DEVIATION_PERCENT
    direction: Direction = "either"
    metric: Metric = "price"
    window_seconds: int = 0
    cooldown_seconds: int = 0
    repeat: bool = True
    expires_at: datetime | None = None
    ladder_percent: float | None = None

    @property
    def period(self) -> Period | None:
        """The period of ``new_high`` and ``new_low``; None for other kinds."""
        return period_of(self.kind, self.window_seconds)

    @property
    def history_needed(self) -> timedelta:
        """How much history there must be before the first alert."""
        return timedelta(seconds=self.window_seconds) if self.period != "all" else ALL_TIME_HISTORY


def build_rule(
    *,
    kind: Kind | None = None,
    threshold_percent: float | None = None,
    level: float | None = None,
    direction: Direction = "either",
    metric: Metric = "price",
    window_seconds: int | None = None,
    period: Period | None = None,
    cooldown_seconds: int | None = None,
    repeat: bool = True,
    expires_at: datetime | None = None,
    ladder_percent: float | None = None,
) -> Rule:
    """The rule that a request describes; ``check_rule`` checks its values.

    Without ``kind``, a ``level`` makes it ``crosses``, a ``period`` ``new_high``, anything else DEFAULT_KIND. Raises
    InvalidRequest unless exactly the kind's own threshold is given; ``new_high`` and ``new_low`` need none.
    """
    kind = kind or _default_kind(level, period)
    values = {"threshold_percent": threshold_percent, "level": level}
    field = threshold_field(kind)
    threshold = values.pop(field)
    [(other, unexpected)] = values.items()
    if unexpected is not None:
        raise InvalidRequest(other, f"A rule of kind {kind} has no {other}; use {field}.")
    if kind in EXTREMES:
        threshold = threshold or 0.0
        direction, window = EXTREMES[kind], _period_seconds(kind, direction, window_seconds, period)
    else:
        if period is not None:
            raise InvalidRequest("period", f"A rule of kind {kind} has no period; only new_high and new_low have one.")
        window = DEFAULT_WINDOW_SECONDS.get(kind, 0) if window_seconds is None else window_seconds
    if threshold is None:
        raise InvalidRequest(field, REQUIRED)
    cooldown = default_cooldown_seconds(kind) if cooldown_seconds is None else cooldown_seconds
    return Rule(kind, threshold, direction, metric, window, cooldown, repeat, expires_at, ladder_percent)


def default_cooldown_seconds(kind: Kind) -> int:
    """The cooldown of a rule for which none was chosen."""
    return DEFAULT_EXTREME_COOLDOWN_SECONDS if kind in EXTREMES else DEFAULT_COOLDOWN_SECONDS


def period_of(kind: Kind, window_seconds: int) -> Period | None:
    """The period of ``new_high`` and ``new_low``; None for other kinds. Raises KeyError for an unknown period."""
    return {seconds: period for period, seconds in PERIODS.items()}[window_seconds] if kind in EXTREMES else None


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
    for check in (_check_threshold, _check_window, _check_ladder, _check_cooldown):
        with problems.collecting():
            check(rule)
    with problems.collecting():
        _check_expiry(rule, now)
    problems.raise_any()


def describe(rule: Rule, quote: str, base: str) -> str:
    """Return the condition as a clause: "the price rises by 5% or more within 1 hour"."""
    clause = _describe_condition(rule, quote, base)
    if rule.ladder_percent is None:
        return clause
    return f"{clause}, and again every further {format_percent(rule.ladder_percent, decimals=6)}"


def extreme_name(kind: Kind, window_seconds: int) -> str:
    """What ``new_high`` or ``new_low`` compares with: "30-day high". Raises KeyError for other kinds and periods."""
    period = {seconds: period for period, seconds in PERIODS.items()}[window_seconds]
    return f"{PERIOD_ADJECTIVES[period]} {EXTREME_NAMES[kind]}"


def _describe_condition(rule: Rule, quote: str, base: str) -> str:
    what = METRICS[rule.metric]
    if rule.kind == "crosses":
        unit = quote if rule.metric == "price" else base
        return f"{what} {CROSSES[rule.direction]} {format_price(rule.threshold)} {unit}"
    percent = format_percent(rule.threshold, decimals=6)
    if rule.period is not None:
        extreme = extreme_name(rule.kind, rule.window_seconds)
        if rule.threshold:
            return f"{what} {DEVIATIONS[rule.direction].format(percent)} its {extreme}"
        return f"{what} reaches a new {extreme}"
    if rule.kind == "deviation_from_average":
        deviation = DEVIATIONS[rule.direction].format(percent)
        window = format_duration(rule.window_seconds).removeprefix("1 ")  # "the last hour", "the last 5 minutes"
        return f"{what} {deviation} its average over the last {window}"
    change = f"{what} {CHANGES[rule.direction]} {percent} or more"
    if rule.kind == "change_over_window":
        return f"{change} within {format_duration(rule.window_seconds)}"
    return f"{change} between two updates"


def _default_kind(level: float | None, period: Period | None) -> Kind:
    if level is not None:
        return "crosses"
    return "new_high" if period is not None else DEFAULT_KIND


def _period_seconds(kind: Kind, direction: Direction, window_seconds: int | None, period: Period | None) -> int:
    """The window of a ``new_high`` or ``new_low``. Raises InvalidRequest for fields that it does not have."""
    if direction not in {"either", EXTREMES[kind]}:
        raise InvalidRequest("direction", f"A rule of kind {kind} has no direction {direction}; leave it out.")
    if window_seconds is not None:
        raise InvalidRequest("window_seconds", f"A rule of kind {kind} has no window_seconds; use period.")
    period = period or DEFAULT_PERIOD
    if period not in PERIODS:
        raise InvalidRequest("period", f"period is {period!r}; it must be one of {', '.join(PERIODS)}.")
    return PERIODS[period]


def _check_threshold(rule: Rule) -> None:
    if rule.kind == "crosses":
        if not (math.isfinite(rule.threshold) and 0 < rule.threshold <= HIGHEST_LEVEL):
            raise InvalidRequest(
                "level", f"The level is {rule.threshold:g}; it must be greater than zero, up to {HIGHEST_LEVEL:g}."
            )
    elif rule.kind in EXTREMES:
        if not (math.isfinite(rule.threshold) and 0 <= rule.threshold <= HIGHEST_PERCENT):
            problem = f"threshold_percent is {rule.threshold:g}; it must be between 0 and {HIGHEST_PERCENT:,.0f}."
            raise InvalidRequest("threshold_percent", problem)
    elif not (math.isfinite(rule.threshold) and LOWEST_PERCENT <= rule.threshold <= HIGHEST_PERCENT):
        problem = (
            f"The change is {rule.threshold:g}%; it must be between {LOWEST_PERCENT}% and {HIGHEST_PERCENT:,.0f}%."
        )
        falls = " For a fall, choose the direction down." if rule.threshold < 0 else ""
        raise InvalidRequest("threshold_percent", problem + falls)


def _check_window(rule: Rule) -> None:
    if rule.kind in EXTREMES:
        if rule.direction != EXTREMES[rule.kind]:
            problem = f"direction is {rule.direction}; for kind {rule.kind} it must be {EXTREMES[rule.kind]}."
            raise InvalidRequest("direction", problem)
        if rule.window_seconds not in PERIODS.values():
            raise InvalidRequest("period", f"The period must be one of {', '.join(PERIODS)}.")
        if rule.metric == "volume_24h" and rule.period not in VOLUME_PERIODS:
            problem = f"period is {rule.period}; for the 24 h volume it must be one of {', '.join(VOLUME_PERIODS)}."
            raise InvalidRequest("period", problem)
        return
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


def _check_ladder(rule: Rule) -> None:
    ladder = rule.ladder_percent
    if ladder is None:
        return
    if rule.kind not in LADDER_KINDS:
        raise InvalidRequest(
            "ladder_percent",
            f"A rule of kind {rule.kind} has no ladder_percent; {' and '.join(LADDER_KINDS)} have one.",
        )
    if not LOWEST_LADDER <= ladder <= HIGHEST_LADDER:  # false for NaN, too
        raise InvalidRequest(
            "ladder_percent",
            f"ladder_percent is {ladder:g}; it must be between {LOWEST_LADDER:g} and {HIGHEST_LADDER:g}.",
        )
    if not rule.repeat:
        raise InvalidRequest("ladder_percent", "An alert that ends after it has fired once can't fire again.")
