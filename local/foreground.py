"""Events shown while the stack runs in the foreground: restarts of services, DAG runs, alerts."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from local import supervisor
from local.airflow import DAG_ID, sqlalchemy_url
from local.configuration import Configuration
from local.paths import Paths
from local.processes import find_processes

POLL_SECONDS = 1.0
DAG_POLL_SECONDS = 5.0
RUNNING = ("RUNNING", "STARTING")


def report_events(configuration: Configuration, say: Callable[[str], None]) -> bool:
    """Report events until the supervisor exits. True if the stack was stopped, False if processes are left over."""
    paths = configuration.paths
    dag_runs, alerts = _DagRuns(configuration), _NewLines(Path(configuration.addresses["COINWATCH_ALERTS_FILE"]))
    known = {state.name: state for state in supervisor.read_states(paths).values()}
    next_dag_poll = 0.0
    while True:
        time.sleep(POLL_SECONDS)
        try:
            states = supervisor.read_states(paths)
        except OSError:
            return _is_stopped(paths)
        for name, state in states.items():
            text = _change(known[name], state)
            if text:
                say(f"{_clock()}  {name}: {text}")
        known = states
        for line in alerts.read():
            say(f"{_clock()}  alert: {line}")
        if time.monotonic() >= next_dag_poll:
            next_dag_poll = time.monotonic() + DAG_POLL_SECONDS
            for line in dag_runs.read():
                say(f"{_clock()}  {line}")


def _change(before: supervisor.ProgramState, now: supervisor.ProgramState) -> str:
    if before.state in RUNNING and now.state in RUNNING and before.pid != now.pid:
        return "crashed and was restarted"
    if before.state in RUNNING and now.state not in RUNNING:
        return "stopped" if now.state in ("STOPPED", "STOPPING") else "crashed; restarting"
    if before.state not in RUNNING and now.state in RUNNING:
        return "is running again"
    if before.state != "FATAL" and now.state == "FATAL":
        return "keeps crashing and is not restarted anymore; see ./local_run.sh logs " + now.name
    return ""


def _is_stopped(paths: Paths) -> bool:
    for _ in range(100):  # the last processes take a moment to exit
        if not find_processes(paths.marker, paths.postgres_data):
            return True
        time.sleep(0.1)
    return False


class _DagRuns:
    """Runs of the DAG that ended since the last call."""

    def __init__(self, configuration: Configuration) -> None:
        import sqlalchemy

        self._engine = sqlalchemy.create_engine(sqlalchemy_url(configuration.airflow_database))
        self._query = sqlalchemy.text(
            "SELECT run_id, state, start_date, end_date FROM dag_run"
            " WHERE dag_id = :dag AND end_date > :since ORDER BY end_date"
        )
        self._since = datetime.now(UTC)

    def read(self) -> list[str]:
        import sqlalchemy

        try:
            with self._engine.connect() as connection:
                rows = connection.execute(self._query, {"dag": DAG_ID, "since": self._since}).all()
        except sqlalchemy.exc.SQLAlchemyError:
            return []  # the database is restarting; that is reported separately
        lines = []
        for _run_id, state, started, ended in rows:
            self._since = max(self._since, ended)
            lines.append(f"{DAG_ID}: {state} in {(ended - started).total_seconds():.1f} s")
        return lines


class _NewLines:
    """Lines added to a file since the last call; the file may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0

    def read(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                text = file.read()
        except OSError:
            return []
        end = text.rfind(b"\n") + 1
        self._position += end
        return text[:end].decode(errors="replace").splitlines()


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
