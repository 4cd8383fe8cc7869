"""The response of the health check."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class ReadinessResponse(BaseModel):
    """Whether requests can be served: ``checks`` has ``ok``, or else what to do, for each condition."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str] = Field(examples=[{"settings": "ok", "database": "ok", "migrations": "ok"}])
    newest_price_at: datetime | None = Field(None, description="Old prices don't make it not ready.")
    prices_are_fresh: bool | None = Field(None, description="Whether the newest price is recent; null without one.")


class HealthResponse(BaseModel):
    """``newest_price_age_seconds`` is null before the first cycle, which counts as healthy."""

    status: str = Field(examples=["ok", "unavailable"])
    reason: str | None = None
    newest_price_at: datetime | None = None
    newest_price_age_seconds: float | None = None
