"""Whether this app can do its work, for load balancers and people with curl."""

from datetime import datetime

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from coinwatch.errors import ConfigurationError, DatabaseError
from coinwatch.prices.history.latest import latest_prices
from coinwatch.web.dependencies import SiteHere

log = structlog.get_logger()
router = APIRouter(tags=["health"])


class Health(BaseModel):
    """``newest_price_age_seconds`` is null before the first cycle: healthy, but with nothing to show."""

    status: str = Field(examples=["ok", "unavailable"])
    reason: str | None = None
    newest_price_at: datetime | None = None
    newest_price_age_seconds: float | None = None


@router.get(
    "/health", summary="Whether Postgres answers, and how old the newest price is", responses={503: {"model": Health}}
)
def health(site: SiteHere) -> Response:
    """Old prices do not make it unhealthy: the pipeline makes them, and restarting this app would not help."""
    try:
        prices = latest_prices(site.engine, site.clock(), with_change=False)
    except (DatabaseError, ConfigurationError) as error:
        # The route is public: which host and which setting it is stands in the log.
        log.error("not healthy", error_type=type(error).__name__, error=str(error))
        away = isinstance(error, DatabaseError)
        reason = "Postgres cannot be reached or lacks our tables." if away else "A setting is missing or wrong."
        return _answer(503, Health(status="unavailable", reason=f"{reason} The log says more."))
    if not prices:
        return _answer(200, Health(status="ok", reason="No prices yet."))
    newest = min(prices, key=lambda price: price.age_seconds)
    return _answer(
        200,
        Health(status="ok", newest_price_at=newest.observed_at, newest_price_age_seconds=round(newest.age_seconds, 1)),
    )


def _answer(status: int, body: Health) -> Response:
    return JSONResponse(body.model_dump(mode="json"), status_code=status)
