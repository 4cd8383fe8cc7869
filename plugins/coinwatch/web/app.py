"""The web app: the same pages and API inside Airflow and standalone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from coinwatch import __version__
from coinwatch.database import limit_statements
from coinwatch.errors import CoinwatchError, ConfigurationError
from coinwatch.settings import Settings
from coinwatch.web.api import (
    backtest,
    catalog,
    fired_alerts,
    gaps,
    history,
    openbb,
    prices,
    status,
    stream,
    subscribers,
    subscriptions,
    udf,
)
from coinwatch.web.api.legacy import coin_price_monitoring, crypto_prices_tracker
from coinwatch.web.dependencies import InvalidManageLink, Site, reject_nul_characters, reject_unknown_parameters
from coinwatch.web.error_handlers import handle_coinwatch_error, handle_http_error, handle_validation_error
from coinwatch.web.middleware.access import Identify
from coinwatch.web.middleware.access_guard import AccessGuard
from coinwatch.web.middleware.caching import ConditionalRequests
from coinwatch.web.middleware.compression import Compression
from coinwatch.web.middleware.cors import Cors
from coinwatch.web.middleware.head import HeadAsGet
from coinwatch.web.middleware.identification import identify_by_key, identify_by_session
from coinwatch.web.middleware.proxies import PublicPath, TrustedProxies
from coinwatch.web.middleware.quota import RequestQuota
from coinwatch.web.middleware.request_log import RequestLog
from coinwatch.web.middleware.security import BodyLimit, OriginCheck, SecurityHeaders
from coinwatch.web.openapi import DESCRIPTION, DocumentedApp
from coinwatch.web.pages import (
    api_docs,
    coin,
    email_links,
    feeds,
    overview,
    subscribe,
    subscribe_bulk,
)
from coinwatch.web.pages.account import ACCOUNT, sign_in
from coinwatch.web.pages.operator import OPERATOR
from coinwatch.web.sessions import signed_in_user
from coinwatch.web.static_files import VersionedFiles, hash_files
from coinwatch.web.templating import STATIC, create_templates

PAGES = (overview, coin, feeds, subscribe, subscribe_bulk, email_links, *ACCOUNT, *OPERATOR, api_docs)
T = TypeVar("T")
API = (
    status,
    catalog,
    prices,
    history,
    gaps,
    stream,
    subscriptions,
    backtest,
    fired_alerts,
    subscribers,
    udf,
    openbb,
    coin_price_monitoring,
    crypto_prices_tracker,
)


def create_app(
    open_engine: Callable[[], Engine],
    open_settings: Callable[[], Settings],
    *,
    identify: Identify,
    inside_airflow: bool,
    public_url: Callable[[], str] | None = None,
    login_url: Callable[[str], str] | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    reuse_responses: bool = False,
) -> FastAPI:
    """Create the app.

    ``open_engine`` and ``open_settings`` are called by the first request that needs them, so that an unavailable
    database or a missing setting is an error on that page only. Statements on the engine are limited to
    COINWATCH_WEB_STATEMENT_SECONDS. ``identify`` returns who sent a request, or None.
    ``public_url`` returns the URL of the server that users open (default: COINWATCH_PUBLIC_URL), ``login_url`` that of
    its login page, given the path to return to, ``clock`` the current time (aware). With ``reuse_responses``, several
    clients may receive the same response within two seconds.
    """
    open_engine = _limiting(open_engine, open_settings)
    identify = identify_by_key(open_engine, clock, identify)
    if not inside_airflow:
        identify = identify_by_session(open_engine, open_settings, clock, identify)
    public_url = public_url or _reading(lambda: open_settings().public_url, default="")
    app = DocumentedApp(
        title="coinwatch",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(reject_nul_characters), Depends(reject_unknown_parameters)],
    )
    version = hash_files(STATIC)
    app.state.site = Site(
        open_engine, open_settings, clock, inside_airflow, create_templates(), version, public_url, login_url
    )
    for module in (*API, *PAGES):  # routes are tried in this order; the API has the most requests
        app.include_router(module.router)
    app.mount("/static", VersionedFiles(STATIC, version), name="static")
    origins: Callable[[], frozenset[str]] = _reading(lambda: open_settings().allowed_origins, default=frozenset())
    app.user_middleware = [  # outermost first
        Middleware(SecurityHeaders, inside_airflow=inside_airflow),
        Middleware(PublicPath, prefix=None if inside_airflow else lambda: path_of(public_url())),
        Middleware(Compression),
        Middleware(TrustedProxies, networks=_reading(lambda: open_settings().trusted_networks, default=())),
        Middleware(RequestLog),
        Middleware(Cors, origins=origins),
        Middleware(RequestQuota, limit=_reading(lambda: open_settings().requests_per_minute, default=0)),
        Middleware(HeadAsGet),
        Middleware(
            AccessGuard,
            routes=app.router.routes,
            identify=identify,
            inside_airflow=inside_airflow,
            find_subscriber=lambda request: run_in_threadpool(signed_in_user, request),
        ),
        Middleware(OriginCheck, public_url=public_url, origins=origins),
        Middleware(BodyLimit),
        Middleware(ConditionalRequests, reuse=reuse_responses),
    ]
    app.add_exception_handler(InvalidManageLink, sign_in.handle_invalid_link)
    app.add_exception_handler(CoinwatchError, handle_coinwatch_error)
    app.add_exception_handler(RequestValidationError, handle_validation_error)
    app.add_exception_handler(HTTPException, handle_http_error)
    return app


def path_of(url: str) -> str:
    """The path of a URL as it is matched with the paths of requests: decoded, without a trailing slash."""
    return unquote(urlsplit(url).path).rstrip("/")


def _limiting(open_engine: Callable[[], Engine], open_settings: Callable[[], Settings]) -> Callable[[], Engine]:
    return lambda: limit_statements(open_engine(), open_settings().web_statement_seconds)


def _reading(read: Callable[[], T], default: T) -> Callable[[], T]:
    """``read`` for middleware, with a default if the settings are invalid, which routes report."""

    def read_or_default() -> T:
        try:
            return read()
        except ConfigurationError:
            return default

    return read_or_default
