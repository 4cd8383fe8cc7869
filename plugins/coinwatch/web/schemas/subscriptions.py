"""Requests and responses about subscriptions, and backtests of their rules."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from coinwatch.alerts.backtest import Backtest, PastAlert
from coinwatch.alerts.backtest_summary import summarize
from coinwatch.alerts.rules import Direction, Kind, Metric, Period, Rule, describe, threshold_field
from coinwatch.alerts.subscriptions import Subscription
from coinwatch.web.schemas.errors import Responses, error
from coinwatch.web.schemas.forms import DEFAULT_DAYS, BacktestForm, Seconds

MAX_DAYS = 90
MAX_ALERTS = 100


class SubscriptionResponse(BaseModel):
    """One subscription. Its fields have the names of the request's."""

    id: int
    email: str
    coin: str = Field(description="Code of the coin.")
    coin_name: str
    exchange: str
    exchange_name: str
    quote: str
    kind: Kind
    metric: Metric
    direction: Direction
    threshold_percent: float | None = Field(description="Change in percent; null for kind crosses.")
    level: float | None = Field(description="Price (or volume); null for other kinds.")
    window_seconds: int = Field(description="Length of the window; 0 for kinds without one.")
    period: Period | None = Field(description="Period of kinds new_high and new_low; null for other kinds.")
    cooldown_seconds: int
    ladder_percent: float | None = Field(description="Fires again at every further N%; null if it doesn't.")
    repeat: bool
    expires_at: datetime | None
    snoozed_until: datetime | None
    status: str
    created_at: datetime

    @classmethod
    def create(cls, subscription: Subscription) -> "SubscriptionResponse":
        """The response for a stored subscription."""
        values = {name: getattr(subscription, name) for name in cls.model_fields if hasattr(subscription, name)}
        values |= {"threshold_percent": None, "level": None, threshold_field(subscription.kind): subscription.threshold}
        if subscription.period is not None:
            values["window_seconds"] = 0
        return cls(coin=subscription.base, **values)


CHECK_INBOX = "Check your inbox. If you already have a confirmation email from us, it covers this alert, too."


class SubscriptionPending(BaseModel):
    """The address has to confirm the subscription first."""

    status: Literal["pending"] = "pending"
    message: str = CHECK_INBOX


CREATE_SUBSCRIPTION: Responses = {
    201: {"description": "Created and active (operators)"},
    202: {
        "model": SubscriptionPending,
        "description": "The alert has to be confirmed by email. The response is the same for every address",
    },
    **error(409, "The same alert already exists (operators)"),
}


class SubscriptionChange(BaseModel):
    """Fields of the rule, or ``status``, or ``snoozed_until``. Fields that are left out keep their value."""

    model_config = ConfigDict(extra="forbid")

    threshold_percent: float | None = Field(None, description="Change that triggers the alert, in percent.")
    level: float | None = Field(None, description="Price (or volume) that triggers the alert; for kind crosses.")
    direction: Direction | None = Field(None, description="up, down or either.")
    window_seconds: Seconds | None = Field(None, description="Length of the window.")
    period: Period | None = Field(None, description="Period of a new_high or new_low.")
    ladder_percent: float | None = Field(None, description="Fire again at every further N%; null for only once.")
    cooldown_seconds: Seconds | None = Field(None, description="Minimum pause after an alert; 0 for none.")
    repeat: bool | None = Field(None, description="False ends the subscription after its first alert.")
    expires_at: AwareDatetime | None = Field(None, description="When it expires; null for never.")
    status: Literal["active", "paused"] | None = Field(None, description="Pause it, or resume a paused one.")
    snoozed_until: AwareDatetime | None = Field(None, description="No alerts until then; null to unsnooze.")


class BacktestQuery(BacktestForm):
    days: int = Field(DEFAULT_DAYS, ge=1, le=MAX_DAYS, description=f"Days to test, up to {MAX_DAYS}.")


class BacktestResponse(BaseModel):
    """How often a rule would have fired."""

    exchange: str
    coin: str = Field(description="Code of the coin.")
    quote: str
    condition: str = Field(examples=["the price moves by 5% or more within 1 hour"])
    summary: str = Field(examples=["In the last 30 days, this alert would have fired 9 times, about 2 a week."])
    start: datetime
    end: datetime
    known_since: datetime | None = Field(description="Time of the first stored value; null if there is none.")
    values: int = Field(description="Number of values evaluated.")
    alerts: int = Field(description="Number of alerts.")
    per_week: float | None = Field(
        description="Alerts per week since known_since; null if that is less than a week ago."
    )
    newest: list[PastAlert] = Field(description=f"Newest first, up to {MAX_ALERTS} in the API.")

    @classmethod
    def create(
        cls, result: Backtest, rule: Rule, *, until_now: bool = True, limit: int | None = None
    ) -> "BacktestResponse":
        """The response for a backtest, with up to ``limit`` alerts. See ``summarize`` for ``until_now``."""
        newest_first = result.alerts[::-1]
        return cls(
            exchange=result.exchange,
            coin=result.base,
            quote=result.quote,
            condition=describe(rule, result.quote, result.base),
            summary=" ".join(summarize(result, rule, until_now=until_now)).strip(),
            start=result.start,
            end=result.end,
            known_since=result.first_at,
            values=result.quotes,
            alerts=len(result.alerts),
            per_week=result.per_week,
            newest=newest_first[:limit],
        )
