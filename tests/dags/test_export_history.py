"""The export DAG run for real: skipped while no place is set, and a day's files where one is."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from coinwatch.prices.candles.storage import refresh_candles
from tests.conftest import Database
from tests.support.quotes import at, load, quote

ROOT = Path(__file__).parents[2]

MIDNIGHT = at(0).replace(hour=0) + timedelta(days=1)  # after the tests' first day

Run = Callable[..., dict[str, str]]


@pytest.fixture
def run_dag(airflow_database: None, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run the DAG for the tests' first day; gives its tasks' states."""
    from coinwatch.database import get_engine
    from coinwatch.settings import get_settings

    monkeypatch.setenv("COINWATCH_DATABASE_URL", database.url("app"))

    def run(**when: datetime | None) -> dict[str, str]:
        from airflow.dag_processing.dagbag import DagBag

        get_settings.cache_clear()
        get_engine.cache_clear()
        dag: Any = DagBag(str(ROOT / "dags")).dags["export_history"]
        found = dag.test(**when or {"logical_date": MIDNIGHT})
        if not when:
            assert (found.data_interval_start, found.data_interval_end) == (MIDNIGHT - timedelta(days=1), MIDNIGHT)
        return {
            f"{task.task_id} {task.rendered_map_index or ''}".strip(): str(task.state)
            for task in found.get_task_instances()
        }

    yield run
    get_engine().dispose()
    get_settings.cache_clear()
    get_engine.cache_clear()


@pytest.mark.timeout(240)
def test_a_run_writes_the_day_of_its_data_interval(
    run_dag: Run, catalog: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(catalog, quote(10, -721), quote(11, 0), quote(12, 60), quote(13, 720), now=at(3000))
    refresh_candles(catalog)
    monkeypatch.setenv("COINWATCH_EXPORT_PATH", str(tmp_path))
    states = run_dag()
    assert set(states.values()) == {"success"}
    assert {f"export_table {table}" for table in ("prices", "candles_1m", "candles_1h", "candles_1d")} <= set(states)
    assert pd.read_parquet(tmp_path / "prices")["price"].tolist() == [11, 12]
    assert sorted(path.name for path in (tmp_path / "candles_1d").iterdir()) == [f"day={at(0).date()}"]
    assert datetime.now(UTC) > at(3000), "the days are over"


@pytest.mark.timeout(240)
def test_a_run_started_by_hand_writes_the_last_day_that_is_over(
    run_dag: Run, catalog: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(catalog, quote(11, 0), quote(13, 720), now=at(3000))
    monkeypatch.setenv("COINWATCH_EXPORT_PATH", str(tmp_path))
    states = run_dag(logical_date=None, run_after=MIDNIGHT + timedelta(hours=10))
    assert set(states.values()) == {"success"}
    assert pd.read_parquet(tmp_path / "prices")["price"].tolist() == [11]


@pytest.mark.timeout(240)
def test_without_a_place_nothing_is_written_and_nothing_is_red(run_dag: Run, catalog: sa.Engine) -> None:
    load(catalog, quote(11, 0), now=at(3000))
    assert set(run_dag().values()) == {"skipped"}
