"""Requests for alerts and backtests. The form on the page and the API take the same fields."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from coinwatch.alerts.rules import DEFAULT_WINDOW_SECONDS, Direction, Kind, Metric, Rule
from coinwatch.errors import InvalidRequest

REQUIRED = "This field is required."
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


Text = Annotated[str, AfterValidator(reject_nul)]
# Bounds are checked with the rule, in one place for the API, the form and the command line.
Percent = Annotated[float, BeforeValidator(_strip_percent_sign), Field(allow_inf_nan=False)]
EmptyIsNone = BeforeValidator(_empty_to_none)


class RuleForm(BaseModel):
    """When an alert fires."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: Kind = Field(
        "change_since_last",
        description="Compare with the previous value (change_since_last), the value one window ago "
        "(change_over_window), the average over the window (deviation_from_average), or a fixed level (crosses).",
    )
    metric: Metric = Field("price", description="price, or volume_24h for the rolling 24 h volume.")
    threshold_percent: Annotated[Percent | None, EmptyIsNone] = Field(
        None,
        description="Change that triggers the alert, in percent (2.5 is 2.5%). Required, except for kind crosses.",
        examples=[2.5],
    )
    level: Annotated[Percent | None, EmptyIsNone] = Field(
        None, description="Price (or volume) that triggers the alert. For kind crosses only.", examples=[100000]
    )
    window_seconds: Annotated[int | None, EmptyIsNone] = Field(
        None,
        description="Length of the window. Default: 3600 for change_over_window, 300 for deviation_from_average.",
    )
    direction: Direction = Field("either", description="up, down or either.")
    cooldown_seconds: int = Field(0, description="Minimum pause after an alert; 0 for none.", examples=[3600])
    repeat: bool = Field(True, description="False ends the subscription after its first alert.")
    expires_at: Annotated[AwareDatetime | None, EmptyIsNone] = Field(
        None, description="When the subscription expires. Default: never."
    )

    def rule(self) -> Rule:
        """The rule. Raises InvalidRequest if its threshold is missing."""
        is_level = self.kind == "crosses"
        threshold = self.level if is_level else self.threshold_percent
        if threshold is None:
            raise InvalidRequest("level" if is_level else "threshold_percent", REQUIRED)
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

    email: Text = Field(
        min_length=1, max_length=254, description="Address to send the alerts to.", examples=["ada@example.org"]
    )
