"""The DAGs maintain_database and check_data, run on a real Postgres."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.airflow_maintenance import CleanupFailed, clean_airflow_database, delete_old_task_logs
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
    "delete_old_access",
    "delete_task_logs",
    "clean_airflow_database",
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


def test_old_task_logs_are_deleted(run_dag: Run, dag_runner: DagRunner) -> None:
    folder = Path(os.environ["AIRFLOW_HOME"]) / "logs"
    paths = {
        days: folder / "dag_id=collect_prices" / f"run_id={days}" / "task_id=fetch" / "attempt=1.log" for days in (6, 8)
    }
    now = datetime.now(UTC).timestamp()
    for days, path in paths.items():
        path.parent.mkdir(parents=True)
        path.write_text("done")
        for age in (path, path.parent, path.parent.parent):
            os.utime(age, (now - days * 86_400,) * 2)
    assert task_states(run_dag("maintain_database"))["delete_task_logs"] == "success"
    assert [days for days, path in paths.items() if path.exists()] == [6]
    assert paths[8].parent.exists(), "a task may be about to write a log to an empty folder"
    later = datetime.now(UTC) + timedelta(hours=2)
    assert delete_old_task_logs(folder, 7, later) == 0
    assert not paths[8].parent.exists()
    dag_runner.configure(TASK_LOG_RETENTION_DAYS="0")
    os.utime(paths[6], (0, 0))
    run_dag("maintain_database")
    assert paths[6].exists()


def test_old_rows_of_airflow_are_deleted(run_dag: Run, dag_runner: DagRunner) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    def ages() -> list[int]:
        with create_session() as session:
            found = session.scalars(sa.select(Log.extra).where(Log.event == "test of maintenance")).all()
        return sorted(int(extra) for extra in found)

    with create_session() as session:
        for days in (29, 31):
            entry = Log("test of maintenance", extra=str(days))
            entry.dttm = datetime.now(UTC) - timedelta(days=days)
            session.add(entry)
    assert task_states(run_dag("maintain_database"))["clean_airflow_database"] == "success"
    assert ages() == [29, 31], "the URL of the database is not set"
    dag_runner.configure(AIRFLOW_DATABASE_URL=f"sqlite:///{os.environ['AIRFLOW_HOME']}/airflow.db")
    assert task_states(run_dag("maintain_database"))["clean_airflow_database"] == "success"
    assert ages() == [29]
    dag_runner.configure(DAG_RUN_RETENTION_DAYS="0")
    run_dag("maintain_database")
    assert ages() == [29]


def test_failed_cleaning_shows_the_output_but_no_password() -> None:
    url = "postgresql+psycopg2://airflow:secret@127.0.0.1:1/airflow"
    environment = {**os.environ, "COINWATCH_AIRFLOW_DATABASE_URL": url}
    with pytest.raises(CleanupFailed, match="onnection refused") as caught:
        clean_airflow_database(environment, 30, datetime.now(UTC))
    assert "secret" not in str(caught.value)
