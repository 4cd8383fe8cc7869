"""Rules that all DAGs of the project follow."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import unknown_commands

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "dags" / "coinwatch_engine.py"  # imported inside tasks only
HEAVY = ("sqlalchemy.orm", "ccxt", "psycopg", "coinwatch.pipeline", "requests", "fastapi", "airflow.providers")


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_expected_dags_exist(dags: dict[str, Any]) -> None:
    assert sorted(dags) == [
        "backfill_candles",
        "backfill_history",
        "check_data",
        "collect_prices",
        "export_history",
        "maintain_database",
        "repair_gaps",
    ]


def test_every_dag_has_owner_tags_retries_and_docs(dags: dict[str, Any]) -> None:
    for name, dag in dags.items():
        assert "**When a task fails**" in str(dag.doc_md), name
        assert dag.description
        assert "coinwatch" in dag.tags
        assert dag.max_active_runs == 1
        assert dag.catchup is False
        assert dag.dagrun_timeout
        for task in dag.tasks:
            assert task.owner == "coinwatch", task.task_id
            assert task.doc_md, task.task_id
            assert task.execution_timeout
            if not task.task_id.startswith("report_"):
                assert task.retries >= 1, task.task_id
            assert task.task_id in dag.doc_md, f"{task.task_id} is not in the failure notes"


def test_commands_in_the_docs_exist(dags: dict[str, Any]) -> None:
    for name, dag in dags.items():
        assert unknown_commands(" ".join(re.findall(r"`(coinwatch [^`]+)`", dag.doc_md))) == [], name


def test_tasks_after_fetching_run_even_if_an_exchange_fails(dags: dict[str, Any]) -> None:
    tasks = {task.task_id: task for task in dags["collect_prices"].tasks}
    for name in ("compute_index", "push_gauges", "match_alerts", "send_emails"):
        assert tasks[name].trigger_rule == "all_done", name
    assert tasks["report_failures"].trigger_rule == "one_failed"
    tasks = {task.task_id: task for task in dags["backfill_candles"].tasks}
    assert tasks["refresh_candles"].trigger_rule == "all_done"
    assert tasks["report_failures"].trigger_rule == "one_failed"


@pytest.mark.parametrize("path", sorted(set((ROOT / "dags").glob("*.py")) - {ENGINE}), ids=lambda path: path.stem)
def test_dag_files_avoid_heavy_imports(path: Path) -> None:
    """Every task imports its DAG file again."""
    script = (
        "import sys, runpy, airflow.sdk; before = set(sys.modules); from airflow.sdk import dag, task; "
        f"runpy.run_path({str(path)!r}); "
        f"print('heavy:', *[name for name in {HEAVY!r} if name in set(sys.modules) - before])"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "heavy:"


def test_schedule_is_configurable() -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("collect_prices_again", ROOT / "dags" / "collect_prices.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COINWATCH_COLLECT_SCHEDULE_MINUTES", "0.25")
        spec.loader.exec_module(module)
    assert module.SCHEDULE_MINUTES == 0.25
