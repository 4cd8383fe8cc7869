"""The standalone server, started by ``coinwatch web``."""

import resource
from contextlib import ExitStack
from functools import cache

import uvicorn
from fastapi import FastAPI
from starlette.routing import Mount, Route
from uvicorn.supervisors import Multiprocess

from coinwatch.database import get_engine
from coinwatch.errors import ConfigurationError
from coinwatch.logs import configure_logs
from coinwatch.ports import open_port
from coinwatch.settings import get_settings
from coinwatch.web.app import create_app, path_of
from coinwatch.web.middleware.identification import identify_by_token
from coinwatch.web.request_deadline import DeadlineProtocol

# Longer than proxies keep an idle connection (60 s is common), so that they never reuse one that is being closed.
KEEP_ALIVE_SECONDS = 75
# Less than supervisors and Docker wait (12 and 10 s), so that a slow client doesn't end in SIGKILL.
GRACEFUL_SECONDS = 5
# A worker that has not responded by then is replaced; importing everything takes seconds on a busy machine.
WORKER_START_SECONDS = 60


def serve(host: str = "127.0.0.1", port: int = 18000) -> None:
    """Serve the app until interrupted, on COINWATCH_LEGACY_PORT as well if that is set.

    Raises ConfigurationError if a secret is missing, a port is taken, or COINWATCH_PUBLIC_URL has an ambiguous path.
    """
    settings = get_settings()
    for secret in ("database_url", "secret_key", "api_token"):
        settings.require(secret)
    _check_path(build_app(), settings.public_url)
    config = uvicorn.Config(
        "coinwatch.web.server:build_app",
        factory=True,
        workers=settings.web_workers,
        http=DeadlineProtocol,
        ws="none",
        # No access log: it would contain the tokens of links in emails. RequestLog logs route templates instead.
        access_log=False,
        proxy_headers=False,  # TrustedProxies reads them
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        timeout_worker_healthcheck=WORKER_START_SECONDS,
        log_level="warning",
        lifespan="off",
    )
    with ExitStack() as opened:
        listeners = [opened.enter_context(open_port(host, port, "--port or COINWATCH_WEB_PORT"))]
        if settings.legacy_port is not None:
            second = open_port(host, settings.legacy_port, "COINWATCH_LEGACY_PORT")
            listeners.append(opened.enter_context(second))
        _raise_file_limit()
        server = uvicorn.Server(config)
        if settings.web_workers == 1:
            server.run(sockets=listeners)
        else:
            Multiprocess(config, sockets=listeners).run()


@cache
def build_app() -> FastAPI:
    """The standalone app; each worker process builds its own, and has to configure its logs."""
    configure_logs()
    return create_app(
        get_engine,
        get_settings,
        identify=identify_by_token(get_settings),
        inside_airflow=False,
        reuse_responses=True,
    )


def _raise_file_limit() -> None:
    """Allow as many open files as the system does: each stream has a socket, and the usual limit is 1,024."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def _check_path(app: FastAPI, public_url: str) -> None:
    """Check that requests that a proxy strips of the path can be told from others."""
    first = path_of(public_url).split("/")[1:2]
    if first and any(first == route.path.split("/")[1:2] for route in app.routes if isinstance(route, Route | Mount)):
        raise ConfigurationError(
            f"COINWATCH_PUBLIC_URL is {public_url}, but coinwatch has a page /{first[0]}. Choose another path."
        )
