"""Removes what Airflow never removes: its task logs, and old rows of its own database.

Airflow is only called as a command, because tasks must not use its database themselves.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from coinwatch.errors import CoinwatchError

# The metadata database's URL, which Airflow hides from tasks. Set by local_run.sh and docker_run.sh.
DATABASE_VARIABLE = "COINWATCH_AIRFLOW_DATABASE_URL"
# Not `dag`: its rows are current after the next parse, and deleting one would forget that its DAG is paused.
TABLES = (
    "asset_event", "callback", "dag_run", "dag_version", "deadline", "import_error", "job", "log", "revoked_token",
    "session", "task_instance", "task_instance_history", "task_reschedule", "trigger", "xcom",
)  # fmt: skip
BATCH_ROWS = 10_000
# A run that has just started may have created a folder, but no file in it.
EMPTY_FOLDER_AGE = timedelta(hours=1)

log = structlog.get_logger()


class CleanupFailed(CoinwatchError):
    """`airflow db clean` failed; the text is the end of its output."""


def delete_old_task_logs(folder: Path, retention_days: int, now: datetime) -> int:
    """Delete log files not written to for ``retention_days`` (0: none), and empty folders; return the number of files.

    A folder emptied by this run is removed by the next one.
    """
    if retention_days == 0:
        return 0
    deleted = 0
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            if name.endswith(".log") and _is_older(Path(path, name), now - timedelta(days=retention_days)):
                Path(path, name).unlink(missing_ok=True)
                deleted += 1
        if path != str(folder) and _is_older(Path(path), now - EMPTY_FOLDER_AGE):
            with suppress(OSError):  # it is not empty
                Path(path).rmdir()
    return deleted


def clean_airflow_database(environment: Mapping[str, str], retention_days: int, now: datetime) -> str:
    """Run `airflow db clean` for everything older than ``retention_days`` (0: nothing); return the end of its output.

    The last run of each DAG is kept. Does nothing without COINWATCH_AIRFLOW_DATABASE_URL in ``environment``. Raises
    CleanupFailed.
    """
    url = environment.get(DATABASE_VARIABLE)
    if retention_days == 0 or not url:
        reason = "COINWATCH_DAG_RUN_RETENTION_DAYS is 0" if url else f"{DATABASE_VARIABLE} is not set"
        log.info("airflow database not cleaned", reason=reason)
        return reason
    before = (now - timedelta(days=retention_days)).isoformat()
    command = [sys.executable, "-P", "-m", "airflow", "db", "clean", "--yes", "--skip-archive", "--verbose"]
    command += ["--clean-before-timestamp", before, "--tables", ",".join(TABLES)]
    command += ["--batch-size", str(BATCH_ROWS), "--error-on-cleanup-failure"]
    # Without the variables with which Airflow marks the environment of a task.
    own = {name: value for name, value in environment.items() if not name.startswith("_AIRFLOW")}
    own |= {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url, "AIRFLOW__CORE__SQL_ALCHEMY_CONN": url}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)  # noqa: S603 - fixed command
    output = (done.stdout + done.stderr).replace(url, "***").strip()
    if done.returncode:
        raise CleanupFailed(f"`airflow db clean` failed with exit code {done.returncode}: {output[-2000:]}")
    return output[-2000:]


def _is_older(path: Path, moment: datetime) -> bool:
    try:
        return path.stat().st_mtime < moment.timestamp()
    except FileNotFoundError:
        return False
