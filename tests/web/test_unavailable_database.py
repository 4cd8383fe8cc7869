"""Without the database, with a frozen one, or with locked tables, every page says so in time, and works again later."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import psycopg
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.database import limit_statements, transaction
from coinwatch.database.engine import CONNECT_TIMEOUT_SECONDS, RESPONSE_SECONDS
from coinwatch.errors import DatabaseError, QueryTimeout
from coinwatch.settings import Settings
from tests.conftest import NUMBERS, Database, create_template
from tests.support.postgres import PostgresServer, postgres_server
from tests.web.seed import web_settings

HTML = {"Accept": "text/html", "Origin": "http://coinwatch.test"}
FORM = {"email": "ada@example.org", "coin": "BTC", "exchange": "", "threshold_percent": "5", "direction": "up"}
REQUESTS: dict[str, Callable[[TestClient], int]] = {
    "/ready": lambda client: client.get("/ready").status_code,
    "/health": lambda client: client.get("/health").status_code,
    "overview": lambda client: client.get("/", headers=HTML).status_code,
    "coin page": lambda client: client.get("/coins/BTC", headers=HTML).status_code,
    "form": lambda client: client.post("/subscribe", headers=HTML, data=FORM).status_code,
    "prices": lambda client: client.get("/api/v1/prices").status_code,
    "changes": lambda client: client.get("/api/v1/changes").status_code,
}
MARGIN = 5.0  # a busy machine

pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of its own, because it is stopped."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def template(postgres: PostgresServer) -> str:
    return create_template(postgres)


@pytest.fixture
def database(postgres: PostgresServer, template: str) -> Database:
    """A clone of the template, without a connection of its own, which would break. It is deleted with the server."""
    name = f"test_{next(NUMBERS)}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return Database(name, postgres)


@pytest.fixture
def settings() -> Settings:
    return web_settings(web_statement_seconds=1)


def send_all(app: FastAPI) -> dict[str, tuple[int, float]]:
    """Send all requests at the same time; return the status and the seconds of each."""

    def send(name: str) -> tuple[int, float]:
        client = TestClient(app, base_url="http://coinwatch.test", follow_redirects=False)
        began = time.monotonic()
        return REQUESTS[name](client), time.monotonic() - began

    with ThreadPoolExecutor(len(REQUESTS)) as pool:
        return dict(zip(REQUESTS, pool.map(send, REQUESTS), strict=True))


def statuses(app: FastAPI) -> dict[str, int]:
    return {name: status for name, (status, _) in send_all(app).items()}


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """All processes of the server are stopped: the kernel still accepts connections, but nothing responds."""
    assert server._process is not None
    main = psutil.Process(server._process.pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def check_unavailable(app: FastAPI, seconds: float) -> None:
    for name, (status, took) in send_all(app).items():
        assert (name, status) == (name, 503)
        assert took < seconds, f"{name} took {took:.1f} s"


def test_server_that_refuses_connections_is_reported_at_once(standalone: FastAPI, postgres: PostgresServer) -> None:
    before = statuses(standalone)
    assert 503 not in before.values()
    postgres.stop()
    try:
        check_unavailable(standalone, MARGIN)
    finally:
        postgres.start()
    assert statuses(standalone) == before


def test_frozen_server_is_reported_in_time(standalone: FastAPI, postgres: PostgresServer) -> None:
    before = statuses(standalone)
    with frozen(postgres):
        check_unavailable(standalone, RESPONSE_SECONDS + CONNECT_TIMEOUT_SECONDS + MARGIN)
        began = time.monotonic()
        assert TestClient(standalone).get("/ready").status_code == 503
        assert time.monotonic() - began < CONNECT_TIMEOUT_SECONDS + MARGIN
    assert statuses(standalone) == before


def test_locked_tables_are_reported_after_the_limit(standalone: FastAPI, database: Database) -> None:
    before = statuses(standalone)
    with psycopg.connect(database.url("admin")) as locking:
        locking.execute("LOCK TABLE prices, latest_quotes, candles, users, subscriptions IN ACCESS EXCLUSIVE MODE")
        check_unavailable(standalone, 1 + MARGIN)
    assert statuses(standalone) == before


def test_slow_statement_is_canceled(engine: sa.Engine) -> None:
    began = time.monotonic()
    with pytest.raises(QueryTimeout), transaction(limit_statements(engine, 0.5)) as connection:
        connection.execute(sa.text("SELECT pg_sleep(60)"))
    assert time.monotonic() - began < MARGIN
    with transaction(engine) as connection:
        limits = sa.text("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert connection.execute(limits).one() == ("0", "0"), "other users of the connection have no limit"


def test_server_that_freezes_during_a_statement_is_given_up(engine: sa.Engine, postgres: PostgresServer) -> None:
    with (
        pytest.raises(DatabaseError, match="no response within"),
        transaction(limit_statements(engine, 0.5)) as connection,
        frozen(postgres),
    ):
        connection.execute(sa.text("SELECT 1"))
    with transaction(engine) as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
