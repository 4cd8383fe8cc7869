"""The Airflow plugin: mounts the web app under /coinwatch and adds it to the navigation bar.

Airflow imports this module in every process it starts, so it imports nothing heavy. The app is created on its first
request: a missing setting or an unreachable database then shows an error on coinwatch's pages only.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlencode, urlsplit

from airflow.configuration import conf
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from coinwatch.web.middleware.access import Visitor

BASE_URL = conf.get("api", "base_url", fallback="")
BASE_PATH = urlsplit(BASE_URL).path.rstrip("/")
PREFIX = "/coinwatch"
DAG_ID = "collect_prices"


@cache
def build_app() -> FastAPI:
    """The web app, accessible after logging in to Airflow."""
    from coinwatch.database import get_engine
    from coinwatch.settings import get_settings
    from coinwatch.web.app import create_app

    return create_app(
        get_engine,
        get_settings,
        identify=identify,
        inside_airflow=True,
        public_url=lambda: BASE_URL,
        login_url=lambda path: f"{BASE_PATH}/api/v2/auth/login?{urlencode({'next': path})}",
    )


async def identify(request: Request) -> Visitor | None:
    """The user logged in to Airflow, or None. Users who may edit the DAG ``collect_prices`` are coinwatch operators."""
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


class LazyApp:
    """Creates the app on the first request; only the api-server ever gets one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        try:
            await build_app()(scope, receive, send)
        finally:
            hide_path(scope, f"{scope.get('root_path', '')}{state.get('route') or '/…'}")


def hide_path(scope: Scope, shown: str) -> None:
    """Replace path and query, which may contain tokens and addresses, before Airflow's access log reads them."""
    scope["path"], scope["query_string"] = shown, b""


class BasePath:
    """Lets Airflow be reached with or without the path of ``[api] base_url``.

    Airflow's mounted apps (login, execution API, plugins) respond 404 to paths without it, as a proxy that strips it
    sends them, and as tasks do, which call the api-server directly.

    Also hides our paths where Airflow's pages quote them: in the address of the page that shows ours in a frame, and in
    the login's ``next``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            if not f"{scope['path']}/".startswith(f"{root}/"):
                scope["path"] = f"{root}{scope['path']}"
            if scope["path"] == f"{root}{PREFIX}":  # for which Airflow shows a page of its own
                scope["path"] += "/"
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            page = f"{root}/plugin{PREFIX}/"
            if scope["path"].startswith(page):
                hide_path(scope, f"{page}…")
            elif PREFIX in unquote(scope["query_string"].decode("latin-1")):
                hide_path(scope, scope["path"])


class OptionalTriggerer:
    """Reports the triggerer, which only deferrable tasks need, as healthy if none has ever run.

    Airflow reports the status null, which its home page shows in red. A triggerer that has stopped remains unhealthy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/monitor/health"):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def send_changed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                changed = _with_healthy_triggerer(body)
                headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
                await send({**start, "headers": [*headers, (b"content-length", str(len(changed)).encode())]})
                await send({"type": "http.response.body", "body": changed})

        await self.app(scope, receive, send_changed)


def _with_healthy_triggerer(body: bytes) -> bytes:
    try:
        report = json.loads(body)
        triggerer = report["triggerer"]
        if triggerer["status"] is None:
            triggerer["status"] = "healthy"
            return json.dumps(report).encode()
    except (ValueError, KeyError, TypeError):
        pass  # an error page, or compressed
    return body


# What the tasks of collect_prices import.
PRELOADED = ("requests", "coinwatch.pipeline", "airflow.providers.postgres.hooks.postgres")


class Preload:
    """Imports what tasks need when the scheduler starts.

    LocalExecutor forks a process per task, which finds the modules in memory instead of spending half a second of
    processor time on importing them.
    """

    @hookimpl  # type: ignore[untyped-decorator]  # mypy does not read Airflow
    def on_starting(self, component: object) -> None:
        # Airflow passes a Job in the scheduler and the DAG processor, without saying which of the two, and other
        # objects in tasks.
        if type(component).__name__ == "Job":
            for module in PRELOADED:
                import_module(module)
            import_module("coinwatch.exchanges.registry").import_adapters()


class CoinwatchPlugin(AirflowPlugin):  # type: ignore[misc]  # mypy does not read Airflow
    name = "coinwatch"
    listeners: ClassVar[list[object]] = [Preload()]
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [{"app": LazyApp(), "url_prefix": PREFIX, "name": "coinwatch"}]
    fastapi_root_middlewares: ClassVar[list[dict[str, Any]]] = [
        {"middleware": BasePath, "name": "coinwatch base path"},
        {"middleware": OptionalTriggerer, "name": "coinwatch optional triggerer"},
    ]
    # With url_route, Airflow shows the page in an iframe. Airflow 3.3 shows a tab on all DAGs; for those that are not
    # coinwatch's, the page says so.
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "coinwatch",
            "href": f"{BASE_PATH}{PREFIX}/",
            "destination": "nav",
            "url_route": "coinwatch",
            "icon": f"{BASE_PATH}{PREFIX}/static/icons/icon.svg",
        },
        {
            "name": "coinwatch",
            "href": f"{BASE_PATH}{PREFIX}/dags/{{DAG_ID}}",
            "destination": "dag",
            "url_route": "coinwatch-dag",
            "icon": f"{BASE_PATH}{PREFIX}/static/icons/icon.svg",
        },
    ]
