"""Every recipe in docs/recipes.md, against a running server and as its program reads it."""

import csv
import io
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
import requests
import sqlalchemy as sa
from fastapi import FastAPI

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.settings import Settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import identify_by_token
from tests.support.ports import free_port
from tests.web.browsing import serving
from tests.web.seed import NOW, seed_market

RECIPES = Path(__file__).parents[2] / "docs/recipes.md"
DOCUMENTED = "http://localhost:18000"
HLEDGER_PRICE = re.compile(r'P (\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d ([A-Za-z]+|"[^"]+") ([0-9.]+) ([A-Za-z]+)')


@pytest.fixture(scope="module")
def text() -> str:
    return RECIPES.read_text("utf-8")


@pytest.fixture
def server(engine: sa.Engine, settings: Settings) -> Iterator[str]:
    seed_market(engine, settings, NOW)
    refresh_candles(engine)
    app: FastAPI = create_app(
        lambda: engine,
        lambda: settings,
        identify=identify_by_token(lambda: settings),
        inside_airflow=False,
        clock=lambda: NOW,
    )
    with serving(app, free_port()) as address:
        yield address


def test_every_documented_address_responds(server: str, text: str) -> None:
    addresses = set(re.findall(rf"{DOCUMENTED}(/[^\s>'\"]*)", text)) - {"/udf", "/SubscribeCoin"}
    assert len(addresses) > 12
    for path in sorted(addresses):
        response = requests.get(server + path.replace("binance", "kraken"), timeout=10)
        assert response.status_code == 200, (path, response.text)
        assert len(response.content) > 2, path


def test_every_curl_command_works_as_written(server: str, text: str, tmp_path: Path) -> None:
    commands = re.findall(r"^curl (?:.*\\\n)*.*", text, re.MULTILINE)
    assert len(commands) == 9
    for command in commands:
        local = command.replace(DOCUMENTED, server).replace("binance", "kraken")
        subprocess.run(
            ["bash", "-c", local.replace("curl ", "curl --fail --silent --show-error ", 1)], cwd=tmp_path, check=True
        )
    assert (tmp_path / "prices.journal").read_text().startswith("P 2026-11-20 12:00:18 BTC 43215.125 USD\n")


def test_infinity_and_spreadsheets_read_the_csv(server: str) -> None:
    response = requests.get(f"{server}/api/v1/candles/BTC?resolution=1h&format=csv", timeout=10)
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) > 24
    assert datetime.fromisoformat(rows[-1]["opened_at"]) == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert float(rows[-1]["close"]) == 43215.125


def test_portfolio_performance_finds_date_and_close(server: str, text: str) -> None:
    assert "`$.candles[*].opened_at`" in text
    candles = requests.get(f"{server}/api/v1/candles/BTC?resolution=1d", timeout=10).json()["candles"]
    days = [datetime.strptime(candle["opened_at"], "%Y-%m-%dT%H:%M:%S%z").date() for candle in candles]
    assert days == [date(2026, 11, 19), date(2026, 11, 20)]
    assert candles[-1]["close"] == 43215.125


def test_pandas_reads_csv_and_parquet_with_times(server: str) -> None:
    hours = pd.read_csv(f"{server}/api/v1/candles/BTC?resolution=1h&format=csv", parse_dates=["opened_at"])
    days = pd.read_parquet(f"{server}/api/v1/candles/BTC?resolution=1d&format=parquet")
    assert str(hours.opened_at.dt.tz) == str(days.opened_at.dt.tz) == "UTC"
    assert hours.close.iloc[-1] == days.close.iloc[-1] == 43215.125


def test_journal_lines_are_price_directives(server: str) -> None:
    response = requests.get(f"{server}/api/v1/prices", headers={"Accept": "text/plain"}, timeout=10)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    lines = response.text.splitlines()
    assert len(lines) > 5
    assert all(HLEDGER_PRICE.fullmatch(line) for line in lines)


def test_beancount_lines_are_price_directives(server: str) -> None:
    response = requests.get(f"{server}/api/v1/candles/BTC?resolution=1d&format=beancount", timeout=10)
    assert response.text.splitlines()[-1] == "2026-11-20 price BTC 43215.125 USD"
