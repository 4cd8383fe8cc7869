"""repair_gaps run for real: exchanges' far ends and Postgres, through Airflow's own task runner."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.exchanges.models import Candle
from coinwatch.prices.candles.storage import StoredCandle, store_candles
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import load_settings
from tests.conftest import Database
from tests.exchange_server import ExchangeServer

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def exchange_server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as server:
        yield server


@pytest.fixture
def run_dag(
    airflow_database: None,
    database: Database,
    exchange_server: ExchangeServer,
    engine: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    """Run the DAG once; gives its run."""
    from coinwatch.database import get_engine
    from coinwatch.settings import get_settings

    configuration = tmp_path / "coinwatch.toml"
    configuration.write_text(
        CONFIGURATION.format(kraken=exchange_server.base_url("kraken"), binance=exchange_server.base_url("binance"))
    )
    for name, value in {
        "CONFIG": str(configuration),
        "DATABASE_URL": database.url("app"),
        "SECRET_KEY": "for-this-test-run-only",
        "STATSD_PORT": "1",
    }.items():
        monkeypatch.setenv(f"COINWATCH_{name}", value)
    get_settings.cache_clear()
    get_engine.cache_clear()
    sync_catalog(engine, load_settings())

    def run() -> Any:
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(str(ROOT / "dags")).dags["repair_gaps"].test(logical_date=datetime.now(UTC))

    yield run
    get_engine().dispose()
    get_settings.cache_clear()
    get_engine.cache_clear()


def states(run: Any) -> dict[str, str]:
    return {
        f"{task.task_id} {task.rendered_map_index or ''}".strip(): str(task.state) for task in run.get_task_instances()
    }


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
    with engine.begin() as connection:
        return {
            row.exchange: row.status for row in connection.execute(sa.text("SELECT exchange, status FROM gap_history"))
        }


@pytest.mark.timeout(240)
def test_an_outage_is_filled_and_an_exchange_that_is_away_is_red_and_tried_again(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for exchange in ("kraken", "binance"):
        store_two_hours(engine, exchange)
    exchange_server.fail("kraken", "status", status=451)
    first = run_dag()
    assert str(first.state) == "failed"
    assert states(first) == {
        "find_gaps": "success",
        "repair binance": "success",
        "repair kraken": "failed",
        "push_gauges": "success",
        "report_failures": "failed",
    }
    assert statuses(engine) == {"binance": "repaired", "kraken": "open"}
    said = capfd.readouterr().out
    assert "AirflowFailException: kraken: not available in this country" in said
    assert "Gaps stay open at kraken" in said
    exchange_server.faults.clear()
    second = run_dag()
    assert str(second.state) == "success"
    assert statuses(engine) == {"binance": "repaired", "kraken": "repaired"}
    assert states(run_dag())["repair"] == "skipped", "nothing is left to do"
