"""The DAGs maintain_database and check_data, run on a real Postgres."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.database import statement, transaction
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.ingest.partitions import ensure_partitions
from coinwatch.settings import load_settings
from tests.dags.conftest import DagRunner, task_states
from tests.support.quotes import load, quote

CONFIGURATION = """
[coins]
BTC = { name = "Bitcoin" }
[exchanges.kraken]
name = "Kraken"
enabled = true
instruments = ["BTC/USD"]
[exchanges.coinbase]
name = "Coinbase"
enabled = true
instruments = ["BTC/USD"]
"""
OLD = datetime.now(UTC).date() - timedelta(days=95)

TASKS = (
    "make_partitions",
    "refresh_candles",
    "drop_old_prices",
    "merge_fetches",
    "delete_old_emails",
    "erase_unconfirmed",
)

Run = Callable[[str], Any]

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def run_dag(dag_runner: DagRunner, engine: sa.Engine) -> Run:
    """Runs a DAG by its id. The catalog has two exchanges."""
    dag_runner.configure(CONFIGURATION)
    sync_catalog(engine, load_settings())
    return dag_runner.run


def days(engine: sa.Engine) -> list[date]:
    with transaction(engine) as connection:
        return list(
            connection.execute(
                statement("prices/retention/select_partitions_before"), {"limit": date(9999, 1, 1)}
            ).scalars()
        )


def load_at(engine: sa.Engine, exchange: str, price: float, moment: datetime) -> None:
    observed = quote(price, 0, exchange)
    load(engine, type(observed)(observed.instrument, price, moment, moment))


def test_maintenance_drops_old_partitions_and_creates_new_ones(run_dag: Run, engine: sa.Engine) -> None:
    load_at(engine, "kraken", 100, datetime(OLD.year, OLD.month, OLD.day, 12, tzinfo=UTC))
    began = datetime.now(UTC).date()
    run = run_dag("maintain_database")
    assert task_states(run) == dict.fromkeys(TASKS, "success")
    assert days(engine) in [
        [today + timedelta(days=ahead) for ahead in range(8)] for today in (began, datetime.now(UTC).date())
    ], "one more day if the test runs across midnight"
    with transaction(engine) as connection:
        rows = connection.execute(
            sa.text("SELECT CAST(resolution AS text), close FROM candles ORDER BY candles.resolution")
        )
        assert [tuple(row) for row in rows] == [("1m", 100), ("1h", 100), ("1d", 100)]


def test_task_fails_if_a_day_cannot_be_dropped(
    run_dag: Run, engine: sa.Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    ensure_partitions(engine, [OLD])
    load_at(engine, "kraken", 100, datetime(OLD.year, OLD.month, OLD.day, 12, tzinfo=UTC))
    with transaction(engine) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to)"
                " SELECT instrument_id, 'price', :at FROM latest_quotes"
            ),
            {"at": datetime(OLD.year, OLD.month, OLD.day, 11, tzinfo=UTC)},
        )
    run = run_dag("maintain_database")
    assert task_states(run) == dict.fromkeys(TASKS, "success") | {"drop_old_prices": "failed"}
    assert OLD in days(engine)
    assert f"Prices of {OLD} were kept" in capfd.readouterr().out


def test_finding_fails_only_its_own_check(run_dag: Run, engine: sa.Engine, capfd: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    load_at(engine, "kraken", 100, now - timedelta(seconds=30))
    load_at(engine, "coinbase", 101, now - timedelta(seconds=30))
    assert set(task_states(run_dag("check_data")).values()) == {"success"}
    load_at(engine, "coinbase", 120, now)
    run = run_dag("check_data")
    assert str(run.state) == "failed"
    assert task_states(run) == {
        "stale": "success",
        "disagreement": "failed",
        "frozen": "success",
        "volume": "success",
        "candles": "success",
    }
    errors = [line for line in capfd.readouterr().out.splitlines() if "AirflowFailException" in line]
    assert any("kraken BTC/USD at 100.00 (observed" in line and "are 18.18% apart" in line for line in errors)
