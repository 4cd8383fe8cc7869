"""The DAG export_history: skipped without an export path, otherwise it writes one day's files."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from coinwatch.prices.candles.refresh import refresh_candles
from tests.dags.conftest import DagRunner, task_states
from tests.support.quotes import at, load, quote

MIDNIGHT = at(0).replace(hour=0) + timedelta(days=1)  # after the tests' first day

Run = Callable[..., dict[str, str]]

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def run_dag(dag_runner: DagRunner, tmp_path: Path) -> Run:
    """Runs the DAG for the tests' first day, or with other arguments of ``DAG.test``; returns its task states."""
    dag_runner.configure(EXPORT_PATH=str(tmp_path))

    def run(**when: datetime | None) -> dict[str, str]:
        run = dag_runner.run("export_history", **when or {"logical_date": MIDNIGHT})
        if not when:
            assert (run.data_interval_start, run.data_interval_end) == (MIDNIGHT - timedelta(days=1), MIDNIGHT)
        return task_states(run)

    return run


def test_run_exports_the_day_of_its_data_interval(run_dag: Run, catalog: sa.Engine, tmp_path: Path) -> None:
    load(catalog, quote(10, -721), quote(11, 0), quote(12, 60), quote(13, 720), now=at(3000))
    refresh_candles(catalog)
    states = run_dag()
    assert set(states.values()) == {"success"}
    assert {f"export_table {table}" for table in ("prices", "candles_1m", "candles_1h", "candles_1d")} <= set(states)
    assert pd.read_parquet(tmp_path / "prices")["price"].tolist() == [11, 12]
    assert sorted(path.name for path in (tmp_path / "candles_1d").iterdir()) == [f"day={at(0).date()}"]
    assert datetime.now(UTC) > at(3000), "the day must be in the past"


def test_manual_run_exports_the_last_complete_day(run_dag: Run, catalog: sa.Engine, tmp_path: Path) -> None:
    load(catalog, quote(11, 0), quote(13, 720), now=at(3000))
    states = run_dag(logical_date=None, run_after=MIDNIGHT + timedelta(hours=10))
    assert set(states.values()) == {"success"}
    assert pd.read_parquet(tmp_path / "prices")["price"].tolist() == [11]


def test_run_is_skipped_without_an_export_path(run_dag: Run, dag_runner: DagRunner, catalog: sa.Engine) -> None:
    load(catalog, quote(11, 0), now=at(3000))
    dag_runner.configure(EXPORT_PATH="")
    assert set(run_dag().values()) == {"skipped"}
