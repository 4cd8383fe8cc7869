"""The app on a real Postgres: alone as everybody sees it, and as if inside Airflow."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.settings import Settings, load_settings
from coinwatch.web.access import Identify, Visitor, identify_by_token
from coinwatch.web.app import create_app
from tests.web.seed import seed_market

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
TOKEN = "operators-token-of-this-test"
VISITORS = {"admin": Visitor("admin", operator=True), "viewer": Visitor("viewer", operator=False)}


@pytest.fixture
def settings() -> Settings:
    return load_settings(secret_key="signs-links-in-this-test", api_token=TOKEN)


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
def alone(make_app: Callable[..., FastAPI], settings: Settings) -> FastAPI:
    return make_app(identify_by_token(lambda: settings))


@pytest.fixture
def inside(make_app: Callable[..., FastAPI]) -> FastAPI:
    """As the plugin makes it, but whoever sends ?as=… or the cookie `as` is that person."""

    async def identify(request):  # type: ignore[no-untyped-def]
        return VISITORS.get(request.cookies.get("as", ""))

    app = FastAPI()
    app.mount("/coinwatch", make_app(identify, inside_airflow=True))
    return app


@pytest.fixture
def client(alone: FastAPI) -> Iterator[TestClient]:
    """A stranger at the app served alone."""
    with TestClient(alone, base_url="http://coinwatch.test", follow_redirects=False) as client:
        yield client


@pytest.fixture
def operator(alone: FastAPI) -> Iterator[TestClient]:
    """The operator with the token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(alone, base_url="http://coinwatch.test", headers=headers, follow_redirects=False) as client:
        yield client
