"""``--json`` prints what the API responds with."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.settings import Settings
from tests.conftest import Database
from tests.support.command_line import run_coinwatch
from tests.web.seed import TOKEN, seed_market
from tests.web.shapes import shape
from tests.web.subscribing import add_subscription


@pytest.fixture
def now_running(app: FastAPI, engine: sa.Engine, settings: Settings) -> TestClient:
    """A client of the app with prices up to the current time, which the command line also uses."""
    seed_market(engine, settings, datetime.now(UTC))
    refresh_candles(engine)
    add_subscription(engine)
    return TestClient(app, base_url="http://coinwatch.test", headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.fixture
def command(database: Database, tmp_path: Path) -> Callable[..., Any]:
    """Run a command with --json and return what it printed."""

    def run(*arguments: str) -> Any:
        environment = {"COINWATCH_DATABASE_URL": database.url("app"), "COINWATCH_SECRET_KEY": "of-this-test-run-only"}
        done = run_coinwatch(*arguments, "--json", environment=environment, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_json_of_commands_is_that_of_the_api(now_running: TestClient, command: Callable[..., Any]) -> None:
    for arguments, path in (
        (("prices",), "prices"),
        (("prices", "bitcoin", "--exchange", "coinbase"), "prices/bitcoin?exchange=coinbase"),
        (("history", "BTC"), "history/BTC?points=100"),
        (("candles", "BTC", "--resolution", "4h"), "candles/BTC?resolution=4h&details=true"),
        (("compare", "BTC"), "compare/BTC"),
        (("changes",), "changes"),
        (("movers", "--limit", "2"), "movers?limit=2"),
        (("subscriptions",), "subscriptions"),
        (("backtest", "BTC", "--exchange", "coinbase"), "backtest?coin=BTC&exchange=coinbase&threshold_percent=5"),
        (("status",), "status"),
    ):
        response = now_running.get(f"/api/v1/{path}")
        assert response.status_code == 200, response.text
        assert shape(command(*arguments)) == shape(response.json()), path


def test_values_are_the_same_too(now_running: TestClient, command: Callable[..., Any]) -> None:
    period = {"start": "2026-01-01T00:00:00Z", "end": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    dates = ("--from", period["start"], "--to", period["end"])
    history = now_running.get("/api/v1/history/BTC", params={**period, "points": 100}).json()
    assert command("history", "BTC", *dates) == history
    candles = now_running.get("/api/v1/candles/BTC", params={**period, "resolution": "1d", "details": True}).json()
    assert command("candles", "BTC", "--resolution", "1d", *dates) == candles
    assert command("subscriptions") == now_running.get("/api/v1/subscriptions").json()


def test_candles_without_a_range_are_the_last_500(now_running: TestClient, command: Callable[..., Any]) -> None:
    for resolution in ("1m", "5m", "1h", "1d", "1w", "1M"):
        found = now_running.get(f"/api/v1/candles/BTC?exchange=coinbase&resolution={resolution}").json()
        printed = command("candles", "BTC", "--exchange", "coinbase", "--resolution", resolution)
        assert 1 <= len(found["candles"]) <= 500
        assert [candle["opened_at"] for candle in printed["candles"]] == [
            candle["opened_at"] for candle in found["candles"]
        ]
    newest = now_running.get("/api/v1/candles/BTC?exchange=coinbase&resolution=1m").json()["candles"]
    first = datetime.fromisoformat(newest[0]["opened_at"])
    assert (datetime.now(UTC) - first).total_seconds() <= 501 * 60
