"""What people ask for in forms and API bodies, checked in one place, and what is wrong with it in plain words."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from coinwatch.alerts.rules import DEFAULT_WINDOW_SECONDS, Direction, Kind, Metric, Rule
from coinwatch.errors import InvalidRequest

# What a form shows before anybody typed.
BLANK = {"email": "", "coin": "", "threshold_percent": "", "direction": "either", "exchange": ""}


def _without_percent_sign(value: object) -> object:
    return value.strip().removesuffix("%").strip() if isinstance(value, str) else value


def _none_when_empty(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


# Bounds are the library's business: it says them in one place for the command line too.
Percent = Annotated[float, BeforeValidator(_without_percent_sign), Field(allow_inf_nan=False)]
Optional = BeforeValidator(_none_when_empty)


class SubscriptionWish(BaseModel):
    """A price alert somebody wants; the form and the API send the same fields."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    email: str = Field(min_length=1, max_length=254, description="Where the alerts go.", examples=["ada@example.org"])
    coin: str = Field(min_length=1, max_length=60, description="Code or name of the coin.", examples=["BTC", "Bitcoin"])
    kind: Kind = Field(
        "change_since_last",
        description="Compare with the value before, the one a window ago, the average of a window, or a level.",
    )
    metric: Metric = Field("price", description="The price, or the rolling 24 h volume.")
    threshold_percent: Annotated[Percent | None, Optional] = Field(
        None,
        description="How far the value has to move, in percent (2.5 is 2.5 %). For every kind but crosses.",
        examples=[2.5],
    )
    level: Annotated[Percent | None, Optional] = Field(
        None, description="The price (or volume) to cross, for the kind crosses.", examples=[100000]
    )
    window_seconds: Annotated[int | None, Optional] = Field(
        None, description="Length of the window; left out, an hour for a change and 5 minutes for an average."
    )
    direction: Direction = Field("either", description="Which way the value has to move.")
    exchange: Annotated[Annotated[str, Field(max_length=60)] | None, Optional] = Field(
        None, description="Code of the exchange; left out, the index: the median of all exchanges.", examples=["kraken"]
    )
    quote: Annotated[Annotated[str, Field(max_length=20)] | None, Optional] = Field(
        None, description="Currency of the price; left out, US dollar where there is one.", examples=["USD"]
    )
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


def read_wish(fields: Mapping[str, object]) -> tuple[SubscriptionWish | None, dict[str, str]]:
    """The wish in a form's fields, or what is wrong with each field."""
    try:
        return SubscriptionWish.model_validate(dict(fields)), {}
    except ValidationError as error:
        return None, field_messages(error.errors(include_url=False))


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
