"""Tasks reach Postgres through the Airflow connection ``coinwatch``."""

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from local.airflow_setup import connection_fields
from tests.conftest import Database
from tests.dags.conftest import DagRunner, SetConnection, task_states

pytestmark = pytest.mark.timeout(240)


def run_check(runner: DagRunner) -> str:
    """Run check_data without retries; the final state of the task ``volume``, for which an empty database is fine."""
    return task_states(runner.run("check_data", retries=0))["volume"]


def test_engine_combines_session_options_with_connection_extras(
    dag_runner: DagRunner, database: Database, set_connection: SetConnection
) -> None:
    set_connection(connection_fields(f"{database.url('app')}?sslmode=prefer&application_name=other"))
    assert run_check(dag_runner) == "success"
    [engine] = dag_runner.engines
    assert engine.dialect.driver == "psycopg"
    assert engine.url.query["sslmode"] == "prefer"
    with transaction(engine) as connection:
        assert connection.execute(sa.text("SHOW timezone")).scalar_one() == "UTC"
        assert connection.execute(sa.text("SHOW application_name")).scalar_one() == "coinwatch"
        assert connection.execute(sa.text("SELECT current_user")).scalar_one() == "coinwatch_app"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"conn_type": "mysql"}, "has the type mysql"),
        ({"host": ""}, "has no host"),
        ({"schema": ""}, "has no database"),
    ],
)
def test_invalid_connection_is_reported(
    dag_runner: DagRunner,
    database: Database,
    set_connection: SetConnection,
    capfd: pytest.CaptureFixture[str],
    change: dict[str, str],
    problem: str,
) -> None:
    set_connection(connection_fields(database.url("app")) | change)
    assert run_check(dag_runner) == "failed"
    assert f"The Airflow connection coinwatch {problem}" in capfd.readouterr().out


def test_missing_connection_is_reported_with_its_fix(
    dag_runner: DagRunner, set_connection: SetConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    set_connection(None)
    assert run_check(dag_runner) == "failed"
    output = capfd.readouterr().out
    assert "The Airflow connection coinwatch does not exist" in output
    assert "Admin > Connections" in output
