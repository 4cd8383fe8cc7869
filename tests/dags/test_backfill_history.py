"""The DAG backfill_history: one task, which succeeds whether or not there is something to do."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import load_settings
from tests.dags.conftest import DagRunner, task_states
from tests.exchange_server import ExchangeServer
from tests.support.backfill import candles

CONFIGURATION = """
[coins]
BTC = {{ name = "Bitcoin" }}
[exchanges.coinnews]
name = "coinnews"
enabled = true
simulated = true
base_url = "{coinnews}"
instruments = ["BTC/USD"]
"""

pytestmark = pytest.mark.timeout(240)


def test_history_is_fetched_once_without_skipped_tasks(
    dag_runner: DagRunner, engine: sa.Engine, exchange_server: ExchangeServer
) -> None:
    dag_runner.configure(CONFIGURATION.format(coinnews=exchange_server.base_url("coinnews")), HISTORY_DAYS="3")
    sync_catalog(engine, load_settings())
    assert task_states(dag_runner.run("backfill_history")) == {"fetch_history": "success"}
    assert len(candles(engine, "1m", "index")) >= 3 * 1440 - 1
    requests = len(exchange_server.requests())
    assert task_states(dag_runner.run("backfill_history")) == {"fetch_history": "success"}
    assert len(exchange_server.requests()) == requests


def test_exchange_that_does_not_respond_fails_the_task(
    dag_runner: DagRunner, engine: sa.Engine, exchange_server: ExchangeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    dag_runner.configure(CONFIGURATION.format(coinnews=exchange_server.base_url("coinnews")), HISTORY_DAYS="3")
    sync_catalog(engine, load_settings())
    exchange_server.fail("coinnews", "status", status=451)
    run = dag_runner.run("backfill_history", retries=0, logical_date=datetime.now(UTC))
    assert task_states(run) == {"fetch_history": "failed"}
    output = capfd.readouterr()
    assert "coinnews" in output.out + output.err
