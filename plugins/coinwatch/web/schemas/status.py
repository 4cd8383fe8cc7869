"""The response of the health check."""

from datetime import datetime

from pydantic import BaseModel, Field


class HealthResponse(BaseModel):
    """``newest_price_age_seconds`` is null before the first cycle, which counts as healthy."""

    status: str = Field(examples=["ok", "unavailable"])
    reason: str | None = None
    newest_price_at: datetime | None = None
    newest_price_age_seconds: float | None = None
