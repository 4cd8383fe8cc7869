"""The app on a real Postgres, standalone and as if inside Airflow."""

import fcntl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from coinwatch.settings import Settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.access import Identify, Visitor
from coinwatch.web.middleware.identification import identify_by_token
from coinwatch.web.templating import WEB_ROOT
from tests.support.ports import free_port
from tests.web.browsing import serving
from tests.web.seed import NOW, TOKEN, seed_market, web_settings

VISITORS = {"admin": Visitor("admin", operator=True), "viewer": Visitor("viewer", operator=False)}


@pytest.fixture
def settings() -> Settings:
    return web_settings()


@pytest.fixture
def market(engine: sa.Engine, settings: Settings) -> None:
    seed_market(engine, settings, NOW)


@pytest.fixture
def make_app(engine: sa.Engine, settings: Settings) -> Callable[..., FastAPI]:
    def make(identify: Identify, inside_airflow: bool = False, clock: Callable[[], datetime] = lambda: NOW) -> FastAPI:
        return create_app(
            lambda: engine, lambda: settings, identify=identify, inside_airflow=inside_airflow, clock=clock
        )

    return make


@pytest.fixture
def standalone(make_app: Callable[..., FastAPI], settings: Settings) -> FastAPI:
    return make_app(identify_by_token(lambda: settings))


@pytest.fixture
def inside(make_app: Callable[..., FastAPI]) -> FastAPI:
    """The app mounted as in Airflow; the cookie ``as`` replaces Airflow's login."""

    async def identify(request: Request) -> Visitor | None:
        return VISITORS.get(request.cookies.get("as", ""))

    airflow = FastAPI()
    airflow.mount("/coinwatch", make_app(identify, inside_airflow=True))
    return airflow


@pytest.fixture
def inside_as(inside: FastAPI) -> Callable[[str | None], TestClient]:
    """A client inside Airflow, logged in as admin or viewer, or not logged in (None)."""

    def browse(name: str | None) -> TestClient:
        cookies = {"as": name} if name else {}
        headers = {"Origin": "http://airflow.test"}
        return TestClient(
            inside, base_url="http://airflow.test", cookies=cookies, headers=headers, follow_redirects=False
        )

    return browse


@pytest.fixture
def client(standalone: FastAPI) -> Iterator[TestClient]:
    """A client of the standalone app, not logged in."""
    with TestClient(standalone, base_url="http://coinwatch.test", follow_redirects=False) as client:
        yield client


@pytest.fixture
def operator(standalone: FastAPI) -> Iterator[TestClient]:
    """A client of the standalone app with the operator's token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(standalone, base_url="http://coinwatch.test", headers=headers, follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="session")
def assets() -> None:
    script = WEB_ROOT / "build_assets.sh"
    with script.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other pytest workers
        subprocess.run([script], check=True)


@pytest.fixture
def app(make_app: Callable[..., FastAPI], settings: Settings) -> FastAPI:
    return make_app(identify_by_token(lambda: settings), clock=lambda: datetime.now(UTC))


@pytest.fixture
def site(app: FastAPI, engine: sa.Engine, settings: Settings, assets: None) -> Iterator[str]:
    """URL of a running app with prices up to now."""
    seed_market(engine, settings, datetime.now(UTC))
    with serving(app, free_port()) as address:
        yield address
