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


def store_two_hours(engine: sa.Engine) -> None:
    """A candle of our quotes every three minutes up to now, with an outage of half an hour in the middle."""
    with engine.begin() as connection:
        instrument_ids = connection.execute(sa.text("SELECT instrument_id FROM watched_instruments")).scalars().all()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    opened = [now - ago * MINUTE for ago in range(120, 0, -3) if not 50 <= ago < 80]
    candles = [Candle(moment, 1, 1, 1, 1) for moment in opened]
    rows = [StoredCandle(number, candle, 1, "quotes") for number in instrument_ids for candle in candles]
    store_candles(engine, "1m", rows)


def statuses(engine: sa.Engine) -> dict[str, str]:
    """The status of each pair's gap."""
    with engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT exchange, pair, status FROM gap_history"))
        return {f"{row.exchange} {row.pair}": row.status for row in rows}


def test_gap_is_filled_and_unreachable_exchange_is_retried(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    store_two_hours(engine)
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
    not_fetched = {"index BTC/USD": "unavailable", "index BTC/USDT": "unavailable"}
    assert statuses(engine) == {"binance BTC/USDT": "repaired", "kraken BTC/USD": "open", **not_fetched}
    output = capfd.readouterr().out
    assert "AirflowFailException: kraken: not available in this country" in output
    assert "Gaps are still open on kraken" in output
    exchange_server.faults.clear()
    second = run_dag()
    assert str(second.state) == "success"
    repaired = {"binance BTC/USDT": "repaired", "kraken BTC/USD": "repaired", "index BTC/USDT": "repaired"}
    assert statuses(engine) == {**repaired, "index BTC/USD": "unavailable"}
    assert task_states(run_dag())["repair"] == "skipped", "all gaps are repaired"
    assert statuses(engine) == {**repaired, "index BTC/USD": "repaired"}
