"""The DAG repair_gaps, run with the exchange server and Postgres."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import load_settings
from tests.dags.conftest import DagRunner, task_states
from tests.exchange_server import ExchangeServer

CONFIGURATION = """
[coins]
BTC = {{ name = "Bitcoin" }}
[exchanges.kraken]
name = "Kraken"
enabled = true
base_url = "{kraken}"
instruments = ["BTC/USD"]
[exchanges.binance]
name = "Binance"
enabled = true
base_url = "{binance}"
instruments = ["BTC/USDT"]
"""
MINUTE = timedelta(minutes=1)

Run = Callable[[], Any]

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def run_dag(dag_runner: DagRunner, exchange_server: ExchangeServer, engine: sa.Engine) -> Run:
    dag_runner.configure(
        CONFIGURATION.format(kraken=exchange_server.base_url("kraken"), binance=exchange_server.base_url("binance"))
    )
    sync_catalog(engine, load_settings())
    return lambda: dag_runner.run("repair_gaps")


def store_two_hours(engine: sa.Engine, exchange: str) -> None:
    """A candle every three minutes up to now, with an outage of half an hour in the middle."""
    find = "SELECT i.id FROM instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = :code"
    with engine.begin() as connection:
        instrument_id = connection.execute(sa.text(find), {"code": exchange}).scalar_one()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    opened = [now - ago * MINUTE for ago in range(120, 0, -3) if not 50 <= ago < 80]
    store_candles(
        engine, "1m", [StoredCandle(instrument_id, Candle(moment, 1, 1, 1, 1), source="quotes") for moment in opened]
    )


def statuses(engine: sa.Engine) -> dict[str, str]:
    """The status of each exchange's gap; the index has no candles of its own in these tests."""
    found = sa.text("SELECT exchange, status FROM gap_history WHERE exchange <> 'index'")
    with engine.begin() as connection:
        return {row.exchange: row.status for row in connection.execute(found)}


def test_gap_is_filled_and_unreachable_exchange_is_retried(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for exchange in ("kraken", "binance"):
        store_two_hours(engine, exchange)
    exchange_server.fail("kraken", "status", status=451)
    first = run_dag()
    assert str(first.state) == "failed"
    assert task_states(first) == {
        "find_gaps": "success",
        "repair binance": "success",
        "repair kraken": "failed",
        "push_gauges": "success",
        "report_failures": "failed",
    }
    assert statuses(engine) == {"binance": "repaired", "kraken": "open"}
    output = capfd.readouterr().out
    assert "AirflowFailException: kraken: not available in this country" in output
    assert "Gaps are still open on kraken" in output
    exchange_server.faults.clear()
    second = run_dag()
    assert str(second.state) == "success"
    assert statuses(engine) == {"binance": "repaired", "kraken": "repaired"}
    assert task_states(run_dag())["repair"] == "skipped", "all gaps are repaired"
