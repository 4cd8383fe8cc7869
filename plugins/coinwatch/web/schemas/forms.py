"""Requests for alerts and backtests. The form on the page and the API take the same fields."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from coinwatch.alerts.rules import (
    DEFAULT_COOLDOWN_SECONDS,
    DEFAULT_EXTREME_COOLDOWN_SECONDS,
    Direction,
    Kind,
    Metric,
    Period,
    Rule,
    build_rule,
)
from coinwatch.alerts.subscriptions import check_address
from coinwatch.errors import InvalidRequest
from coinwatch.time_range import parse_duration

NUL_CHARACTER = "This contains a NUL character. Remove it and try again."
DEFAULT_DAYS = 30  # of a backtest


def reject_nul(text: str) -> str:
    """Postgres cannot store NUL characters."""
    if "\0" in text:
        raise PydanticCustomError("nul_character", NUL_CHARACTER)
    return text


def _strip_percent_sign(value: object) -> object:
    return value.strip().removesuffix("%").strip() if isinstance(value, str) else value


def _empty_to_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _to_seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return int(parse_duration("", value).total_seconds())
    except InvalidRequest as error:
        raise PydanticCustomError("duration", str(error).removeprefix(" is ")) from None


def _to_address(text: str) -> str:
    try:
        return check_address(text)
    except InvalidRequest as error:
        raise PydanticCustomError("address", "{reason}", {"reason": str(error)}) from None


Text = Annotated[str, AfterValidator(reject_nul)]
# Bounds are checked with the rule, in one place for the API, the form and the command line.
Percent = Annotated[float, BeforeValidator(_strip_percent_sign), Field(allow_inf_nan=False)]
# As it is stored: a domain in any script becomes its A-label.
EmailAddress = Annotated[Annotated[Text, Field(min_length=1, max_length=254)], AfterValidator(_to_address)]
EmptyIsNone = BeforeValidator(_empty_to_none)
Seconds = Annotated[
    int,
    BeforeValidator(_to_seconds, json_schema_input_type=int | str),
    Field(description="Seconds, or a duration such as 5m or 1h."),
]


class RuleForm(BaseModel):
    """When an alert fires."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: Annotated[Kind | None, EmptyIsNone] = Field(
        None,
        description="Compare with the previous value (change_since_last), the value one window ago "
        "(change_over_window), the average over the window (deviation_from_average), a fixed level (crosses), or the "
        "highest or lowest value of the period before (new_high, new_low). "
        "Default: crosses with a level, new_high with a period, otherwise change_over_window.",
    )
    metric: Metric = Field("price", description="price, or volume_24h for the rolling 24 h volume.")
    threshold_percent: Annotated[Percent | None, EmptyIsNone] = Field(
        None,
        description="Change that triggers the alert, in percent (2.5 is 2.5%). Required, except for kind crosses; "
        "for new_high and new_low, how far beyond the previous one, by default 0.",
        examples=[2.5],
    )
    level: Annotated[Percent | None, EmptyIsNone] = Field(
        None, description="Price (or volume) that triggers the alert. For kind crosses only.", examples=[100000]
    )
    window_seconds: Annotated[Seconds | None, EmptyIsNone] = Field(
        None,
        description="Length of the window. Default: 3600 for change_over_window, 300 for deviation_from_average.",
    )
    period: Annotated[Period | None, EmptyIsNone] = Field(
        None,
        description="For new_high and new_low: 24h, 7d, 30d (the default), 52w, or all for all time. For the 24 h "
        "volume only 24h and 7d.",
    )
    direction: Direction = Field("either", description="up, down or either. Not for new_high and new_low.")
    cooldown_seconds: Annotated[Seconds | None, EmptyIsNone] = Field(
        None,
        description="Minimum pause after an alert; 0 for none. "
        f"Default: {DEFAULT_COOLDOWN_SECONDS}, and {DEFAULT_EXTREME_COOLDOWN_SECONDS} for new_high and new_low.",
        examples=[3600],
    )
    ladder_percent: Annotated[Percent | None, EmptyIsNone] = Field(
        None,
        description="For crosses and change_over_window: fire again at every further N%, while the condition "
        "holds. Default: only once.",
        examples=[5],
    )
    repeat: bool = Field(True, description="False ends the subscription after its first alert.")
    expires_at: Annotated[AwareDatetime | None, EmptyIsNone] = Field(
        None, description="When the subscription expires. Default: never."
    )

    def rule(self) -> Rule:
        """The rule. Raises InvalidRequest if its threshold is missing."""
        return build_rule(**{name: getattr(self, name) for name in RuleForm.model_fields})


class InstrumentForm(BaseModel):
    """What an alert watches."""

    coin: Text = Field(
        min_length=1, max_length=60, description="Code or name of the coin.", examples=["BTC", "Bitcoin"]
    )
    exchange: Annotated[Annotated[Text, Field(max_length=60)] | None, EmptyIsNone] = Field(
        None, description="Code of the exchange. Default: index, the median of all exchanges.", examples=["kraken"]
    )
    quote: Annotated[Annotated[Text, Field(max_length=20)] | None, EmptyIsNone] = Field(
        None, description="Quote currency. Default: USD where available.", examples=["USD"]
    )


class BacktestForm(RuleForm, InstrumentForm):
    """A rule for one instrument."""


class SubscriptionForm(BacktestForm):
    """A rule for one instrument, and who is alerted."""

    email: EmailAddress = Field(description="Address to send the alerts to.", examples=["ada@example.org"])
