"""What people ask for in forms and API bodies, checked in one place, and what is wrong with it in plain words."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from coinwatch.alerts.rules import (
    DEFAULT_WINDOW_SECONDS,
    HIGHEST_PERCENT,
    LOWEST_PERCENT,
    Direction,
    Kind,
    Metric,
    Rule,
)
from coinwatch.errors import InvalidRequest
from coinwatch.time_range import utc_day
from coinwatch.web.services.number_parsing import plain, read_number

# What a form shows before anybody typed, in the order of its fields. A rest, so that nobody asks for a flood unawares.
BLANK_RULE = {
    "kind": "change_over_window",
    "threshold_percent": "5",
    "level": "",
    "change_window_seconds": "3600",
    "average_window_seconds": "300",
    "direction": "either",
    "cooldown_seconds": "3600",
    "metric": "price",
    "repeat": "always",
    "expires_on": "",
}
BLANK = {"coin": "", "exchange": "", "quote": "", **BLANK_RULE, "email": ""}
NEAR = 5  # times as much or as little as today is what people set levels at, when we have to guess what they mean
WINDOWS = {"change_over_window": "change_window_seconds", "deviation_from_average": "average_window_seconds"}


def _without_percent_sign(value: object) -> object:
    return value.strip().removesuffix("%").strip() if isinstance(value, str) else value


def _none_when_empty(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


# Bounds are the library's business: it says them in one place for the command line too.
Percent = Annotated[float, BeforeValidator(_without_percent_sign), Field(allow_inf_nan=False)]
Optional = BeforeValidator(_none_when_empty)


class RuleWish(BaseModel):
    """When to tell somebody; what a form, a body and a query may ask for."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: Kind = Field(
        "change_since_last",
        description="Compare with the value before (change_since_last), the one a window ago (change_over_window), the "
        "average of a window (deviation_from_average), or a level (crosses).",
    )
    metric: Metric = Field("price", description="The price, or the rolling 24 h volume (volume_24h).")
    threshold_percent: Annotated[Percent | None, Optional] = Field(
        None,
        description="How far the value has to move, in percent (2.5 is 2.5%). For every kind but crosses.",
        examples=[2.5],
    )
    level: Annotated[Percent | None, Optional] = Field(
        None, description="The price (or volume) to cross, for the kind crosses.", examples=[100000]
    )
    window_seconds: Annotated[int | None, Optional] = Field(
        None, description="Length of the window; left out, an hour for a change and 5 minutes for an average."
    )
    direction: Direction = Field("either", description="Which way the value has to move: up, down or either.")
    cooldown_seconds: int = Field(0, description="Seconds of silence after an alert; 0 for none.", examples=[3600])
    repeat: bool = Field(True, description="False ends the subscription with its first alert.")
    expires_at: Annotated[AwareDatetime | None, Optional] = Field(None, description="When it ends by itself.")

    def rule(self) -> Rule:
        """The rule that is wished for; InvalidRequest when its number is missing."""
        crosses = self.kind == "crosses"
        threshold = self.level if crosses else self.threshold_percent
        if threshold is None:
            raise InvalidRequest("level" if crosses else "threshold_percent", "Please fill this in.")
        window = DEFAULT_WINDOW_SECONDS.get(self.kind, 0) if self.window_seconds is None else self.window_seconds
        return Rule(
            self.kind,
            threshold,
            self.direction,
            self.metric,
            window,
            self.cooldown_seconds,
            self.repeat,
            self.expires_at,
        )


class MarketWish(BaseModel):
    """What to watch."""

    coin: str = Field(min_length=1, max_length=60, description="Code or name of the coin.", examples=["BTC", "Bitcoin"])
    exchange: Annotated[Annotated[str, Field(max_length=60)] | None, Optional] = Field(
        None, description="Code of the exchange; left out, the index: the median of all exchanges.", examples=["kraken"]
    )
    quote: Annotated[Annotated[str, Field(max_length=20)] | None, Optional] = Field(
        None, description="Currency of the price; left out, US dollar where there is one.", examples=["USD"]
    )


class WatchWish(RuleWish, MarketWish):
    """A rule on one market."""


class SubscriptionWish(WatchWish):
    """An alert somebody wants; the form and the API send the same fields."""

    email: str = Field(min_length=1, max_length=254, description="Where the alerts go.", examples=["ada@example.org"])


Wish = TypeVar("Wish", bound=BaseModel)
Typed = Mapping[str, str]
LastValue = Callable[[], float | None]


def read_rule(typed: Typed, last_value: LastValue) -> tuple[Rule | None, dict[str, str]]:
    """The rule typed into a form (fields of :data:`BLANK_RULE`), or what is wrong with each field.

    Only the chosen kind's fields count. ``last_value`` gives the newest price (or 24 h volume) of what is watched: a
    level that can be read in two ways is taken for the one near it. What ``check_rule`` says about the rule goes to
    the field that :func:`form_field` names.
    """
    wish, problems = _read(RuleWish, BLANK_RULE, typed, last_value)
    return (wish.rule(), {}) if wish else (None, problems)


def read_watch(typed: Typed, last_value: LastValue) -> tuple[WatchWish | None, dict[str, str]]:
    """The rule and what it watches, like :func:`read_rule`; the address does not matter."""
    return _read(WatchWish, BLANK, {**typed, "email": ""}, last_value)


def read_wish(typed: Typed, last_value: LastValue) -> tuple[SubscriptionWish | None, dict[str, str]]:
    """All that the form for a new alert holds, like :func:`read_rule`."""
    return _read(SubscriptionWish, BLANK, typed, last_value)


def typed_rule(rule: Rule) -> dict[str, str]:
    """The fields of a form that show this rule; a date of its end is the last day it holds, in UTC."""
    shown = BLANK_RULE | {
        "kind": rule.kind,
        "metric": rule.metric,
        "direction": rule.direction,
        "cooldown_seconds": str(rule.cooldown_seconds),
        "repeat": "always" if rule.repeat else "once",
        "level" if rule.kind == "crosses" else "threshold_percent": plain(rule.threshold),
    }
    if rule.kind in WINDOWS:
        shown[WINDOWS[rule.kind]] = str(rule.window_seconds)
    if rule.expires_at:
        last_day = rule.expires_at.astimezone(UTC) - timedelta(microseconds=1)
        shown["expires_on"] = last_day.date().isoformat()
    return shown


def form_field(name: str, kind: str) -> str:
    """The form's field for a rule's: its one threshold is two in a form, its window another one for each kind."""
    if name == "threshold":
        return "level" if kind == "crosses" else "threshold_percent"
    return {"window_seconds": WINDOWS.get(kind, "kind"), "expires_at": "expires_on"}.get(name, name)


def _read(
    model: type[Wish], fields: Mapping[str, str], typed: Typed, last_value: LastValue
) -> tuple[Wish | None, dict[str, str]]:
    """The wish in a form, or what is wrong with each field, in the form's order of fields."""
    values, problems = _values({name: typed.get(name, "").strip() for name in fields}, last_value)
    try:
        wish = model.model_validate({name: value for name, value in values.items() if name in model.model_fields})
        if not problems:
            return wish, {}
    except ValidationError as error:
        found = field_messages(error.errors(include_url=False))
        problems = {form_field(name, str(values["kind"])): text for name, text in found.items()} | problems
    return None, {name: problems[name] for name in sorted(problems, key=list(fields).index)}


def _values(typed: dict[str, str], last_value: LastValue) -> tuple[dict[str, object], dict[str, str]]:
    """A model's values, and problems with what only forms have: numbers and days as people write them."""
    kind = typed["kind"]
    number = form_field("threshold", kind)
    values: dict[str, object] = dict(typed) | {"level": None, "threshold_percent": None, "repeat": True}
    values["window_seconds"] = typed[WINDOWS[kind]] if kind in WINDOWS else None
    problems = {}
    try:
        values[number] = read_number(typed[number], _near(last_value) if kind == "crosses" else _possible_percent)
    except ValueError as error:
        problems[number] = str(error) if typed[number] else "Please fill this in."
    if typed["repeat"] not in {"always", "once"}:
        problems["repeat"] = f"{typed['repeat']!r} is none of 'always' or 'once'."
    values["repeat"] = typed["repeat"] == "always"
    try:
        if typed["expires_on"]:
            last_day = min(date.fromisoformat(typed["expires_on"]), date.max - timedelta(days=1))
            values["expires_at"] = utc_day(last_day).end
    except ValueError:
        problems["expires_on"] = f"{typed['expires_on']!r} is not a date. Write it like 2026-01-31."
    return values, problems


def _possible_percent(number: float) -> bool:
    return LOWEST_PERCENT <= number <= HIGHEST_PERCENT


def _near(last_value: LastValue) -> Callable[[float], bool]:
    """Two readings lie a thousandfold apart: at most one of them is near the last value."""

    def near(number: float) -> bool:
        last = last_value()
        return last is not None and last / NEAR < number < last * NEAR

    return near


def field_messages(problems: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """One plain sentence per wrong field, from pydantic's list of problems."""
    messages: dict[str, str] = {}
    for problem in problems:
        location = [str(part) for part in problem["loc"] if part not in {"body", "query", "path", "header"}]
        whole = not location or problem["type"] == "json_invalid"  # whose location is a place in the text
        messages.setdefault("" if whole else location[0], _sentence(problem))
    return messages


def _sentence(problem: Mapping[str, Any]) -> str:
    kind, given, limits = str(problem["type"]), _shown(problem.get("input")), problem.get("ctx") or {}
    empty = problem.get("input") in ("", None)
    if kind == "missing" or (empty and kind in {"string_too_short", "float_parsing", "int_parsing"}):
        return "Please fill this in."
    if kind in {"float_parsing", "float_type", "int_parsing", "int_type", "finite_number"}:
        return f"{given} is not a number. Write it like 2.5, with a point."
    if kind == "int_from_float":
        return f"{given} is not a whole number."
    if kind == "greater_than_equal":
        return f"{given} is too little: at least {limits['ge']}."
    if kind == "less_than_equal":
        return f"{given} is too much: at most {limits['le']}."
    if kind == "literal_error":
        return f"{given} is none of {limits['expected']}."
    if kind == "string_too_long":
        return f"This is too long: at most {limits['max_length']} characters."
    if kind == "extra_forbidden":
        return "There is no such field. Check its spelling."
    if kind == "json_invalid":
        return "The body is not valid JSON."
    if kind.startswith(("datetime", "date_", "timezone")):
        return f"{given} is not a date and time. Write it like 2026-01-31T12:00:00Z."
    return f"{problem['msg']} ({given})."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…'"
