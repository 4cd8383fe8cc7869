"""Airflow with its own home: a migrated SQLite database, and our dags/ and plugins/."""

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.settings import get_settings
from local.airflow_setup import CONNECTION_ID, connection_fields, run_airflow
from tests.conftest import Database

ROOT = Path(__file__).parents[2]
HOME = Path(tempfile.mkdtemp(prefix="coinwatch-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Airflow reads these when it is imported, so they are set before any fixture runs.
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
}
# Airflow's task runner and DAG processor add the DAG folder to sys.path; DagBag does not.
sys.path.append(str(ROOT / "dags"))

SetConnection = Callable[[dict[str, Any] | None], None]


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables."""
    run_airflow("db", "migrate")


@pytest.fixture
def set_connection(airflow_database: None) -> Iterator[SetConnection]:
    """Replace the Airflow connection ``coinwatch`` in the metadata database, or delete it (None)."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    def set_connection(fields: dict[str, Any] | None) -> None:
        with create_session() as session:  # Airflow's command line would take seconds
            session.execute(sa.delete(Connection).where(Connection.conn_id == CONNECTION_ID))
            if fields:
                session.add(Connection(conn_id=CONNECTION_ID, **fields | {"extra": json.dumps(fields["extra"])}))

    yield set_connection
    set_connection(None)


class DagRunner:
    """Runs DAGs in this process, with Airflow's own task runner. ``engines`` are those that tasks created."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.engines: list[sa.Engine] = []
        self._folder = folder
        self._environment = environment

    def configure(self, configuration: str | None = None, **settings: str) -> None:
        """Set the text of coinwatch.toml and COINWATCH_* settings (names in upper case, without the prefix)."""
        if configuration is not None:
            path = self._folder / "coinwatch.toml"
            path.write_text(configuration)
            settings["CONFIG"] = str(path)
        for name, value in settings.items():
            self._environment.setenv(f"COINWATCH_{name}", value)
        get_settings.cache_clear()

    def run(self, dag_id: str, retries: int | None = None, **when: datetime | None) -> Any:
        """Run a DAG for the logical date now, or for ``when`` (arguments of ``DAG.test``); returns the DagRun.

        ``retries`` overrides that of all tasks.
        """
        from airflow.dag_processing.dagbag import DagBag

        dag = DagBag(str(ROOT / "dags")).dags[dag_id]
        for task in dag.tasks if retries is not None else []:
            task.retries = retries
        return dag.test(**when or {"logical_date": datetime.now(UTC)})


@pytest.fixture
def dag_runner(
    database: Database, set_connection: SetConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagRunner]:
    """A runner whose tasks can reach the test's database only through the Airflow connection."""
    import coinwatch_engine

    runner = DagRunner(tmp_path, monkeypatch)
    create_engine = coinwatch_engine.create_engine

    def create_recorded_engine(url: str) -> sa.Engine:
        runner.engines.append(create_engine(url))
        return runner.engines[-1]

    monkeypatch.setattr(coinwatch_engine, "create_engine", create_recorded_engine)
    monkeypatch.delenv("COINWATCH_DATABASE_URL", raising=False)
    set_connection(connection_fields(database.url("app")))
    runner.configure(SECRET_KEY="for-this-test-run-only", STATSD_PORT="1")
    yield runner
    for engine in runner.engines:
        engine.dispose()
    coinwatch_engine._engine.cache_clear()
    get_settings.cache_clear()


def task_states(run: Any) -> dict[str, str]:
    """The state of each task instance by task id, followed by the rendered map index of mapped tasks."""
    return {
        f"{task.task_id} {task.rendered_map_index or ''}".strip(): str(task.state) for task in run.get_task_instances()
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not turn warnings of Airflow and its libraries, which we cannot fix, into errors."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))
