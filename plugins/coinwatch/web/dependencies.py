"""Dependencies of the routes: the site (engine, settings, clock, templates, limits) and the caller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, cast

import jinja2
from fastapi import Depends, Request
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from coinwatch.access.rate_limits import Limit, count_call
from coinwatch.alerts.users import ERASED, LinkKey, find_linked_user
from coinwatch.audit import Actor
from coinwatch.errors import ConfigurationError, DatabaseError, InvalidRequest, NotFound
from coinwatch.formatting import did_you_mean
from coinwatch.mail.links import read_manage
from coinwatch.prices.catalog import has_only_demo_prices
from coinwatch.settings import Settings
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.middleware.rate_limiter import BACKTESTS, ConcurrencyLimit, RateLimit, too_many_calls
from coinwatch.web.overview.histories import RecentHistories
from coinwatch.web.static_files import url_builder
from coinwatch.web.stream.connections import Connections
from coinwatch.web.stream.hub import Hub
from coinwatch.web.stream.reading import Reader
from coinwatch.web.stream.shutdown import server_is_stopping

CURRENT_SECONDS = 2  # how long a response about current prices may be reused


@dataclass(frozen=True)
class Site:
    """What all routes of an app share.

    Engine and settings are opened on use, so that an unavailable database or a missing setting breaks a page, not
    the server. ``public_url`` returns the URL at which browsers reach the app, ``login_url`` that of the login page,
    given the path to return to.
    """

    open_engine: Callable[[], Engine]
    open_settings: Callable[[], Settings]
    clock: Callable[[], datetime]
    inside_airflow: bool
    templates: jinja2.Environment
    static_version: str
    public_url: Callable[[], str]
    login_url: Callable[[str], str] | None = None
    backtest_limit: RateLimit = field(default_factory=lambda: RateLimit("backtests", BACKTESTS))
    backtest_slots: ConcurrencyLimit = field(
        default_factory=lambda: ConcurrencyLimit("backtests", 2, max_wait_seconds=2)
    )
    # Each takes up to a quarter of a second of this process's time: with four at once, pages took over a second.
    query_slots: ConcurrencyLimit = field(
        default_factory=lambda: ConcurrencyLimit("queries of long ranges", 2, max_wait_seconds=2)
    )
    histories: RecentHistories = field(default_factory=RecentHistories)
    connections: Connections = field(default_factory=Connections)

    @property
    def engine(self) -> Engine:
        return self.open_engine()

    @property
    def settings(self) -> Settings:
        return self.open_settings()

    @property
    def max_price_age(self) -> timedelta:
        """The age beyond which a price is stale, given how often prices are collected."""
        return timedelta(seconds=self.settings.quote_gauge_max_age_seconds)

    def check_limit(self, limit: Limit, caller: str) -> None:
        """Count a call that is limited to protect people. Raises TooManyRequests if a limit is reached."""
        wait = count_call(self.engine, self.settings, limit, caller, self.clock())
        if wait is not None:
            raise too_many_calls(f"{limit.what} {limit.whose}", wait.total_seconds())

    def cache_headers(self, seconds: int, *, immutable: bool = False) -> dict[str, str]:
        """Headers that let clients, and standalone also proxies, reuse a response for this long."""
        who = "private" if self.inside_airflow else "public"  # inside Airflow, every response needs a login
        return {"Cache-Control": f"{who}, max-age={seconds}{', immutable' if immutable else ''}"}

    @cached_property
    def hub(self) -> Hub:
        """The streams of this process."""
        return Hub(lambda: Reader(self.engine, self.histories, self.max_price_age), self.clock, server_is_stopping)

    def render(
        self, request: Request, template: str, values: Mapping[str, object] | None = None, *, status: int = 200
    ) -> HTMLResponse:
        """Render a page from ``templates/``. In templates, ``url(path)`` prefixes the path of the app's mount point.

        To the paths of static files it also adds their version: see ``static_files.py``.
        """
        text = self.templates.get_template(template).render(
            url=url_builder(request.scope.get("root_path", ""), self.static_version),
            now=self.clock(),
            visitor=getattr(request.state, "visitor", None),
            inside_airflow=self.inside_airflow,
            demo_prices=self._has_only_demo_prices if status < 429 else lambda: False,  # must work without the database
            **(values or {}),
        )
        return HTMLResponse(text, status_code=status)

    def _has_only_demo_prices(self) -> bool:
        try:
            return has_only_demo_prices(self.engine)
        except (DatabaseError, ConfigurationError):
            return False


def get_site(request: Request) -> Site:
    return cast("Site", request.app.state.site)


def get_visitor(request: Request) -> Visitor | None:
    return cast("Visitor | None", request.state.visitor)


def get_client(request: Request) -> str:
    """The caller's IP address, as rate limits count it."""
    return request.client.host if request.client else "unknown"


def get_actor(request: Request) -> Actor | None:
    """The operator or API key that acts, for the audit log; None for subscribers and strangers."""
    visitor = get_visitor(request)
    if visitor is None or not (visitor.operator or visitor.scopes):
        return None
    path = request.scope["path"].removeprefix(request.scope["root_path"])
    return Actor(visitor.name, "api" if path.startswith("/api/") else "web", get_site(request).clock())


def get_operator(request: Request) -> Actor:
    """The operator who acts, for the audit log. Routes that need one are not on the public lists, so there is one."""
    visitor, actor = get_visitor(request), get_actor(request)
    if visitor is None or not visitor.operator or actor is None:
        raise HTTPException(403, "This requires an operator.")
    return actor


class InvalidManageLink(InvalidRequest):
    """A manage link is forged, incomplete, too old or revoked. Its page offers to email a new one."""


def get_subscriber(request: Request, token: str) -> int:
    """Id of the subscriber whose manage link has this token. Raises InvalidManageLink, and NotFound if erased."""
    site = get_site(request)
    try:
        link_key = read_manage(site.settings, token)
    except InvalidRequest as error:
        raise InvalidManageLink("token", str(error)) from None
    return user_of_link(site, link_key)


def user_of_link(site: Site, link_key: LinkKey) -> int:
    """Id of the user that a link names. Raises NotFound if erased, and InvalidManageLink if the link was revoked."""
    user = find_linked_user(site.engine, link_key)
    if user is None:
        raise NotFound(ERASED)
    if user.revoked:
        raise InvalidManageLink("token", "This link was revoked when you signed out everywhere.")
    return user.user_id


async def reject_nul_characters(request: Request) -> None:
    """Postgres cannot store NUL characters, so no path or query may contain one. Raises InvalidRequest."""
    if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise InvalidRequest("", "The address contains a NUL character. Remove it and try again.")


async def reject_unknown_parameters(request: Request) -> None:
    """A misspelled filter must not return everything. Raises InvalidRequest for parameters the API doesn't document.

    Pages ignore them, since links are shared with parameters for tracking, and so does the health check.
    """
    if not request.scope["query_string"]:
        return
    known = _query_parameters(request)
    if known is None:
        return
    for name in request.query_params:
        if name not in known:
            hint = did_you_mean(name, {each: each for each in known})
            raise InvalidRequest(name, f"{name} is not a known field.{hint or ' Check the spelling.'}")
        if len(request.query_params.getlist(name)) > 1:
            raise InvalidRequest(name, f"{name} is given more than once. Pass one value.")


def _query_parameters(request: Request) -> set[str] | None:
    """The query parameters that the API documents for a route; None for a page."""
    method = "get" if request.method == "HEAD" else request.method.lower()
    operation = request.app.openapi()["paths"].get(request.scope["route"].path_format, {}).get(method)
    if operation is None or "health" in operation["tags"]:
        return None
    return {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}


# Asynchronous, because FastAPI runs each synchronous dependency in a thread, which takes longer than the dependency.
async def _site(request: Request) -> Site:
    return get_site(request)


async def _visitor(request: Request) -> Visitor | None:
    return get_visitor(request)


async def _client(request: Request) -> str:
    return get_client(request)


SiteDep = Annotated[Site, Depends(_site)]
VisitorDep = Annotated[Visitor | None, Depends(_visitor)]
SubscriberDep = Annotated[int, Depends(get_subscriber)]
OperatorDep = Annotated[Actor, Depends(get_operator)]
ActorDep = Annotated[Actor | None, Depends(get_actor)]
ClientDep = Annotated[str, Depends(_client)]
