"""The web app: the same pages and API inside Airflow and alone."""

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from coinwatch import __version__
from coinwatch.errors import CoinwatchError
from coinwatch.settings import Settings
from coinwatch.web.api import health
from coinwatch.web.api import history as history_api
from coinwatch.web.api import legacy_routes as aliases
from coinwatch.web.api import routes as api
from coinwatch.web.api import subscribers as people_api
from coinwatch.web.dependencies import STATIC, Site, templates
from coinwatch.web.error_handlers import (
    answer_coinwatch_error,
    answer_http_error,
    answer_validation_error,
)
from coinwatch.web.middleware.access import AccessGuard, Identify
from coinwatch.web.middleware.request_log import RequestLog
from coinwatch.web.middleware.security import BodyLimit, OriginCheck, SecurityHeaders
from coinwatch.web.pages import api_docs as docs
from coinwatch.web.pages import email_links as mail_links
from coinwatch.web.pages import manage as managing
from coinwatch.web.pages import prices as pages
from coinwatch.web.pages import subscribe as subscribing

DESCRIPTION = (
    "Prices as coinwatch recorded them, and mails when they move. Times are UTC, percentages are percent "
    "(2.5 is 2.5%), prices are in the quote currency. Errors are `{error, message, fields}`."
)


def create_app(
    open_engine: Callable[[], Engine],
    open_settings: Callable[[], Settings],
    *,
    identify: Identify,
    inside_airflow: bool,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """The app. ``identify`` says who sent a request, None for a stranger.

    Engine and settings are opened at the first request that needs them: a database that is away or a missing
    setting then shows as a named error on the page.
    """
    app = FastAPI(
        title="coinwatch",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.site = Site(open_engine, open_settings, clock, inside_airflow, templates())
    for room in (pages, subscribing, mail_links, managing, docs, health, api, people_api, history_api, aliases):
        app.include_router(room.router)
    app.mount("/static", CachedFiles(directory=STATIC), name="static")
    app.user_middleware = [  # the first sees a request first
        Middleware(SecurityHeaders, inside_airflow=inside_airflow),
        Middleware(RequestLog),
        Middleware(AccessGuard, routes=app.router.routes, identify=identify, inside_airflow=inside_airflow),
        Middleware(OriginCheck),
        Middleware(BodyLimit),
    ]
    app.add_exception_handler(CoinwatchError, answer_coinwatch_error)
    app.add_exception_handler(managing.LostLink, managing.answer_lost_link)
    app.add_exception_handler(RequestValidationError, answer_validation_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    return app


class CachedFiles(StaticFiles):
    """Our own files: links to them change with their content, so browsers may keep them for a day."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response
