"""coinwatch inside Airflow: its pages and API under /coinwatch, and an entry in the navigation.

Airflow imports this module in every process it starts, so it imports nothing heavy and opens nothing: the app is
made when its first request comes. A missing setting or an absent database then shows on coinwatch's page and
leaves Airflow alone.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.types import Receive, Scope, Send

    from coinwatch.web.middleware.access import Visitor

PREFIX = "/coinwatch"
DAG_ID = "collect_prices"


@cache
def build_app() -> FastAPI:
    """The app behind Airflow's login."""
    from coinwatch.database import get_engine
    from coinwatch.settings import get_settings
    from coinwatch.web.app import create_app

    return create_app(get_engine, get_settings, identify=identify, inside_airflow=True)


async def identify(request: Request) -> Visitor | None:
    """Who is logged in to Airflow; whoever may edit the DAG that collects prices is an operator of coinwatch."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
    from fastapi import HTTPException
    from starlette.concurrency import run_in_threadpool

    from coinwatch.web.middleware.access import Visitor

    try:
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException as error:
        if error.status_code in {401, 403}:
            return None
        raise
    may_edit = await run_in_threadpool(
        get_auth_manager().is_authorized_dag, method="PUT", details=DagDetails(id=DAG_ID), user=user
    )
    return Visitor(user.get_name(), operator=may_edit)


class AppOnDemand:
    """Stands in for the app until a request comes: only the api-server ever needs it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await build_app()(scope, receive, send)


class Preload:
    """Imports the library when the scheduler starts, whose LocalExecutor forks a process for every task: a task then
    finds it in memory instead of spending a quarter of a second of processor time on importing it."""

    @hookimpl  # type: ignore[untyped-decorator]  # mypy does not read Airflow
    def on_starting(self, component: object) -> None:
        # Airflow calls this with the half-made Job of a scheduler or DAG processor, which does not say yet which of
        # the two it is, and in every task with something else.
        if type(component).__name__ == "Job":
            for module in ("requests", "coinwatch.pipeline"):
                import_module(module)


class CoinwatchPlugin(AirflowPlugin):  # type: ignore[misc]  # mypy does not read Airflow
    name = "coinwatch"
    listeners: ClassVar[list[object]] = [Preload()]
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [{"app": AppOnDemand(), "url_prefix": PREFIX, "name": "coinwatch"}]
    # With url_route Airflow shows the page in its own frame.
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "coinwatch",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "url_route": "coinwatch",
            "icon": f"{PREFIX}/static/icon.svg",
        }
    ]
