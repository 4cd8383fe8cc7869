"""Fixtures shared by all suites.

Each pytest-xdist worker has its own servers and browser. Each test has its own database, cloned from a migrated
template.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import hypothesis
import psycopg
import pytest
import sqlalchemy as sa
import structlog
from playwright.sync_api import Browser
from psycopg import sql
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from coinwatch.database import create_engine
from coinwatch.migrations import migrate, setup_database
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import Settings
from tests.exchange_server import ExchangeServer
from tests.support.browser import chromium
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.settings import make_settings
from tests.support.smtp_server import Mailbox, smtp_server

# Tests must not use the settings of the developer's own stack.
for name in [name for name in os.environ if name.startswith("COINWATCH_") and not name.startswith("COINWATCH_TEST_")]:
    del os.environ[name]
os.environ["COINWATCH_ENV_FILE"] = os.devnull
# The tests' own clients must not use the developer's proxy for servers on this machine.
DIRECT = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1,localhost,::1"]))
os.environ |= {"NO_PROXY": DIRECT, "no_proxy": DIRECT}

# A slow machine is not a failure. Tests that reuse a fixture for many examples clean up between them.
hypothesis.settings.register_profile(
    "coinwatch",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("coinwatch")

# Suites whose tests share one expensive setup (a stack, Airflow, images): one worker runs all of them.
UNDIVIDED_SUITES = ("tests/e2e/", "tests/dags/", "tests/docker/")
NUMBERS = itertools.count(1)
ROLES = {"owner": "coinwatch_owner", "app": "coinwatch_app", "reader": "coinwatch_reader"}


class FileScheduling(LoadScopeScheduling):
    """Gives each worker whole files, so that module fixtures are set up once."""

    def _split_scope(self, nodeid: str) -> str:
        return next((suite for suite in UNDIVIDED_SUITES if nodeid.startswith(suite)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileScheduling:
    return FileScheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long each suite's tests took, added up over all workers."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.split("/")[1]] += report.duration
    terminalreporter.section("seconds per suite, added up over all workers")
    for suite, total in seconds.most_common():
        terminalreporter.line(f"{suite:12} {total:6.0f}")


@dataclass(frozen=True)
class Database:
    """A test's own database."""

    name: str
    server: PostgresServer

    def url(self, role: str = "app") -> str:
        """The URL for a role: owner, app, reader, or admin for the superuser."""
        return self.server.url(self.name, ROLES[role]) if role != "admin" else self.server.url(self.name)


@pytest.fixture(autouse=True)
def _default_logging(request: pytest.FixtureRequest) -> None:
    """Undo Airflow's configuration of structlog, which the tests of the DAGs leave behind in their worker."""
    if not request.node.nodeid.startswith("tests/dags/"):
        structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: PostgresServer) -> str:
    return create_template(postgres)


def create_template(postgres: PostgresServer) -> str:
    """Create a database with all migrations applied, and return its name."""
    name = "coinwatch_template"
    owner, app, reader = (postgres.url(name, ROLES[role]) for role in ("owner", "app", "reader"))
    setup_database(postgres.url("postgres"), owner, app, reader)
    engine = create_engine(owner)
    migrate(engine)
    engine.dispose()
    return name


@pytest.fixture(scope="session")
def shared_exchange_server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as server:
        yield server


@pytest.fixture
def exchange_server(shared_exchange_server: ExchangeServer) -> Iterator[ExchangeServer]:
    """The server of all exchanges, with its default prices and the current time."""
    shared_exchange_server.reset()
    yield shared_exchange_server
    shared_exchange_server.reset()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """An SMTP server, and the emails it has received."""
    with smtp_server() as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests: Playwright's sync API allows one instance per process."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def database(postgres: PostgresServer, template: str) -> Iterator[Database]:
    """A fresh clone of the migrated template."""
    with cloned_database(postgres, template) as database:
        yield database


@contextmanager
def cloned_database(postgres: PostgresServer, template: str) -> Iterator[Database]:
    """A clone of the migrated template, dropped in the end."""
    name = f"test_{next(NUMBERS)}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        yield Database(name, postgres)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def engine(database: Database) -> Iterator[sa.Engine]:
    """An engine for the test's database, in the application's role."""
    engine = create_engine(database.url("app"))
    yield engine
    engine.dispose()


@pytest.fixture
def settings() -> Settings:
    """Settings with two coins on four exchanges."""
    return make_settings()


@pytest.fixture
def catalog(engine: sa.Engine, settings: Settings) -> sa.Engine:
    """The engine, after the catalog of ``settings`` was written to the database."""
    sync_catalog(engine, settings)
    return engine
