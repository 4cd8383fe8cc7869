"""Health check for load balancers, and the state of the pipeline for operators."""

from datetime import datetime, timedelta

import structlog
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from coinwatch.errors import ConfigurationError, DatabaseError
from coinwatch.migrations import is_migrated
from coinwatch.prices.history.latest import LatestPrice, read_latest_prices
from coinwatch.status import Status, pipeline_status
from coinwatch.web.dependencies import Site, SiteDep
from coinwatch.web.schemas.errors import COMMON_RESPONSES
from coinwatch.web.schemas.status import HealthResponse, ReadinessResponse

OK = "ok"
NO_DATABASE = "Postgres is unreachable, does not respond in time, or is not migrated."

log = structlog.get_logger()
router = APIRouter()


@router.get(
    "/health",
    tags=["health"],
    summary="Whether the database is reachable, and the age of the newest price",
    responses={503: {"model": HealthResponse, "description": "Database unavailable, or a setting is invalid"}},
)
def get_health(site: SiteDep) -> Response:
    """Old prices do not make it unhealthy: the pipeline writes them, and restarting this app would not help."""
    try:
        prices = read_latest_prices(site.engine, site.clock(), with_change=False)
    except (DatabaseError, ConfigurationError) as error:
        # The route is public: details such as the database host go to the log only.
        log.error("health check failed", error_type=type(error).__name__, error=str(error))
        reason = NO_DATABASE if isinstance(error, DatabaseError) else "A setting is missing or invalid."
        return _response(503, HealthResponse(status="unavailable", reason=f"{reason} See the log for details."))
    if not prices:
        return _response(200, HealthResponse(status="ok", reason="No prices yet."))
    newest = min(prices, key=lambda price: price.age_seconds)
    age = round(newest.age_seconds, 1)
    return _response(200, HealthResponse(status="ok", newest_price_at=newest.observed_at, newest_price_age_seconds=age))


@router.get(
    "/ready",
    tags=["health"],
    summary="Whether requests can be served: settings, database, migrations",
    response_model=ReadinessResponse,
    responses={503: {"model": ReadinessResponse, "description": "Not ready; checks says what to do"}},
)
def get_readiness(site: SiteDep) -> Response:
    """For load balancers and Kubernetes. Prices may be old: the pipeline writes them, not this app."""
    checks = {"settings": _check_settings(site)}
    newest: datetime | None = None
    if checks["settings"] == OK:
        checks |= _check_database(site)
    if set(checks.values()) == {OK}:
        newest = max((price.observed_at for price in _latest(site)), default=None)
    ready = set(checks.values()) == {OK}
    body = ReadinessResponse(
        status="ready" if ready else "not ready",
        checks=checks,
        newest_price_at=newest,
        prices_are_fresh=None if newest is None else site.clock() - newest <= site.max_price_age,
    )
    return _response(200 if ready else 503, body)


@router.get("/api/v1/status", tags=["operators"], summary="State of the pipeline", responses=COMMON_RESPONSES)
def get_status(site: SiteDep) -> Status:
    return pipeline_status(
        site.engine,
        site.clock(),
        site.settings.emails_per_day,
        index_freshness=timedelta(seconds=site.settings.index_freshness_seconds),
        history_days=site.settings.history_days,
    )


def _check_settings(site: Site) -> str:
    try:
        site.settings.require("secret_key")
    except ConfigurationError as error:
        # The route is public: details go to the log only.
        log.error("not ready", error=str(error))
        return "A setting is missing or invalid. See the log for details."
    return OK


def _check_database(site: Site) -> dict[str, str]:
    try:
        migrated = is_migrated(site.engine)
        _latest(site)
    except (DatabaseError, ConfigurationError) as error:
        log.error("not ready", error=str(error))
        return {"database": f"{NO_DATABASE} See the log for details."}
    return {"database": OK, "migrations": OK if migrated else "Migrations are missing. Run: coinwatch migrate"}


def _latest(site: Site) -> list[LatestPrice]:
    return read_latest_prices(site.engine, site.clock(), with_change=False)


def _response(status: int, body: HealthResponse | ReadinessResponse) -> Response:
    return JSONResponse(body.model_dump(mode="json"), status_code=status)
