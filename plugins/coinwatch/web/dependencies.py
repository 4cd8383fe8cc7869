"""What every route of the app needs: the engine, the settings, the clock, the templates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast

import jinja2
from fastapi import Depends, Request
from sqlalchemy import Engine
from starlette.responses import HTMLResponse

from coinwatch.formatting import format_age, format_duration, format_timestamp
from coinwatch.settings import Settings
from coinwatch.web import formatting as wording
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.middleware.rate_limiter import BACKTESTS, SUBSCRIPTIONS, CallLimit, Turns

HERE = Path(__file__).parent
STATIC = HERE / "static"


@dataclass(frozen=True)
class Site:
    """One app's parts. Engine and settings are opened at use: a missing one breaks a page, not the server."""

    open_engine: Callable[[], Engine]
    open_settings: Callable[[], Settings]
    clock: Callable[[], datetime]
    inside_airflow: bool
    templates: jinja2.Environment
    limit: CallLimit = field(default_factory=lambda: CallLimit("subscriptions", SUBSCRIPTIONS))
    link_limit: CallLimit = field(default_factory=lambda: CallLimit("requests for a link", SUBSCRIPTIONS))
    backtest_limit: CallLimit = field(default_factory=lambda: CallLimit("backtests", BACKTESTS))
    backtest_turns: Turns = field(default_factory=lambda: Turns(at_once=2, patience_seconds=2))

    @property
    def engine(self) -> Engine:
        return self.open_engine()

    @property
    def settings(self) -> Settings:
        return self.open_settings()

    def page(
        self, request: Request, template: str, values: Mapping[str, object] | None = None, *, status: int = 200
    ) -> HTMLResponse:
        """A page from ``templates/``; ``url`` in it puts the mount point before a path."""
        root = request.scope.get("root_path", "")
        text = self.templates.get_template(template).render(
            url=lambda path: f"{root}{path}",
            now=self.clock(),
            visitor=getattr(request.state, "visitor", None),
            inside_airflow=self.inside_airflow,
            **(values or {}),
        )
        return HTMLResponse(text, status_code=status)


def templates() -> jinja2.Environment:
    """The pages' templates with the filters of wording.py; everything printed is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        price=wording.price,
        change=wording.change,
        spread=wording.spread,
        amount=wording.amount,
        age=format_age,
        day_and_time=wording.day_and_time,
        duration=format_duration,
        utc=format_timestamp,
        local=wording.local,
        iso=wording.iso,
    )
    environment.globals.update(assets=_assets_version())
    return environment


def _assets_version() -> str:
    """Changes when a static file does, so that browsers may keep the files for a day."""
    newest = max((path.stat().st_mtime_ns for path in STATIC.rglob("*") if path.is_file()), default=0)
    return f"{newest:x}"


def site_of(request: Request) -> Site:
    return cast("Site", request.app.state.site)


def visitor_of(request: Request) -> Visitor | None:
    return cast("Visitor | None", request.state.visitor)


def client_of(request: Request) -> str:
    """The caller's address, as the rate limit counts it."""
    return request.client.host if request.client else "unknown"


SiteHere = Annotated[Site, Depends(site_of)]
VisitorHere = Annotated[Visitor | None, Depends(visitor_of)]
ClientHere = Annotated[str, Depends(client_of)]
