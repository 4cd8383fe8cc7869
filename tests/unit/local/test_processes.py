"""No process is left behind: processes of a stack are found by their marker, even without a supervisor, and ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.commands import explain_failure
from local.paths import Paths, find_paths, make_folders
from local.processes import end_processes, find_processes
from local.supervisor import Program, write_configuration

PROJECT = Path(__file__).parents[3]
# A parent that starts a child and prints its process id; both sleep, and the child ignores SIGTERM.
FAMILY = """
import signal, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a Python program with the stack's marker in its environment."""
    started = []

    def run(program: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "COINWATCH_STACK": str(tmp_path), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_children_of_a_killed_parent_are_terminated(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.processes.GRACE_SECONDS", 0.5)
    parent = start(FAMILY)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert [process.pid for process in find_processes(str(tmp_path))] == [child]
    assert end_processes(str(tmp_path)) == 1
    assert find_processes(str(tmp_path)) == []


def test_processes_of_another_stack_are_not_affected(start: Start, tmp_path: Path) -> None:
    other = start("import time; time.sleep(600)", COINWATCH_STACK=f"{tmp_path}-other")
    assert end_processes(str(tmp_path)) == 0
    assert other.poll() is None


def test_calling_process_is_excluded(start: Start, tmp_path: Path) -> None:
    asking = start(
        f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from local.processes import find_processes\n"
        f"print(find_processes({str(tmp_path)!r}))"
    )
    assert asking.communicate()[0].strip() == "[]"


def test_restarting_a_service_terminates_leftover_processes(start: Start, tmp_path: Path) -> None:
    left = start("import time; time.sleep(600)", COINWATCH_SERVICE="web")
    other = start("import time; time.sleep(600)", COINWATCH_SERVICE="coinnews")
    wait_until(lambda: len(find_processes(str(tmp_path))) == 2)
    assert launch(tmp_path, service="web") == "launched\n"
    assert left.wait(20) == -signal.SIGKILL
    assert other.poll() is None


def test_busy_worker_may_finish_while_an_idle_one_is_terminated(start: Start, tmp_path: Path) -> None:
    busy = "import setproctitle; setproctitle.setproctitle('worker: at work'); print(1, flush=True); input()"
    names = {"COINWATCH_SERVICE": "airflow-scheduler", "SPT_NOENV": "1"}
    worker, idle = start(busy, **names), start(busy.replace("at work", "<idle>"), **names)
    for process in (worker, idle):
        assert process.stdout is not None
        process.stdout.readline()
    assert launch(tmp_path, service="airflow-scheduler", grace_seconds=60) == "launched\n"
    assert idle.wait(20) == -signal.SIGKILL
    assert worker.poll() is None
    worker.communicate("done\n", timeout=20)
    assert worker.returncode == 0


def test_stale_postgres_lock_is_removed(tmp_path: Path) -> None:
    lock = tmp_path / "postmaster.pid"
    lock.write_text("1\n/somewhere\n")
    assert launch(tmp_path, service="postgres", postgres_data=str(tmp_path)) == "launched\n"
    assert not lock.exists()


def test_generated_files_are_readable_only_by_the_owner(tmp_path: Path) -> None:
    paths = Paths(PROJECT, tmp_path / "with space 100%", tmp_path / ".env")
    make_folders(paths)
    assert oct((paths.run).stat().st_mode)[-3:] == "700"
    path = write_configuration(paths, [Program("web", paths.run / "web.json")])
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert "web.json" in path.read_text()
    assert "with space" not in path.read_text(), "supervisord would expand % in the project's path"


def test_socket_moves_to_the_temporary_folder_if_its_path_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COINWATCH_LOCAL_DIR", str(tmp_path / ("long" * 25)))
    paths = find_paths(PROJECT)
    assert len(str(paths.supervisor_socket)) < 100
    assert paths.env_file == tmp_path / ("long" * 25) / ".env"
    make_folders(paths)
    assert oct(paths.supervisor_socket.parent.stat().st_mode)[-3:] == "700"
    paths.supervisor_socket.parent.rmdir()


def launch(home: Path, service: str, grace_seconds: float = 0, postgres_data: str | None = None) -> str:
    """Run launch.py as supervisord does; returns the output of the launched program."""
    specification = home / "specification.json"
    specification.write_text(
        json.dumps(
            {
                "command": [sys.executable, "-c", "print('launched')"],
                "environment": {"COINWATCH_STACK": str(home), "COINWATCH_SERVICE": service},
                "directory": str(home),
                "user": None,
                "remove": [],
                "postgres_data": postgres_data,
                "grace_seconds": grace_seconds,
            }
        )
    )
    launcher = PROJECT / "local" / "launch.py"
    done = subprocess.run(
        [sys.executable, "-I", launcher, specification], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_rejected_password_is_explained() -> None:
    outcome = 'not ready: FATAL:  password authentication failed for user "postgres"'
    assert "./local_run.sh reset" in str(explain_failure("Postgres", "some log line", Path("postgres.log"), outcome))
