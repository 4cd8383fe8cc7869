"""No process stays behind: a stack's processes are found by their mark, also without their supervisor, and ended."""

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
from local.layout import Layout, find_layout, make_folders
from local.processes import end_processes, find_processes
from local.supervisor import Program, write_configuration

PROJECT = Path(__file__).parents[3]
# A parent that starts a child and prints its number; both sleep, and the child does not care for SIGTERM.
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
    """Start a Python program with the stack's mark in its environment."""
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


def test_children_of_a_killed_parent_are_found_and_ended(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.processes.PATIENCE_SECONDS", 0.5)
    parent = start(FAMILY)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert [process.pid for process in find_processes(str(tmp_path))] == [child]
    assert end_processes(str(tmp_path)) == 1
    assert find_processes(str(tmp_path)) == []


def test_another_stacks_processes_are_left_alone(start: Start, tmp_path: Path) -> None:
    other = start("import time; time.sleep(600)", COINWATCH_STACK=f"{tmp_path}-other")
    assert end_processes(str(tmp_path)) == 0
    assert other.poll() is None


def test_who_asks_is_not_counted(start: Start, tmp_path: Path) -> None:
    asking = start(
        f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from local.processes import find_processes\n"
        f"print(find_processes({str(tmp_path)!r}))"
    )
    assert asking.communicate()[0].strip() == "[]"


def test_a_part_that_starts_anew_ends_what_its_killed_process_left(start: Start, tmp_path: Path) -> None:
    left = start("import time; time.sleep(600)", COINWATCH_PART="web")
    other = start("import time; time.sleep(600)", COINWATCH_PART="coinnews")
    wait_until(lambda: len(find_processes(str(tmp_path))) == 2)
    assert launch(tmp_path, part="web") == "launched\n"
    assert left.wait(20) == -signal.SIGKILL
    assert other.poll() is None


def test_a_busy_worker_may_finish_and_an_idle_one_is_ended_at_once(start: Start, tmp_path: Path) -> None:
    busy = "import setproctitle; setproctitle.setproctitle('worker: at work'); print(1, flush=True); input()"
    names = {"COINWATCH_PART": "airflow-scheduler", "SPT_NOENV": "1"}
    worker, idle = start(busy, **names), start(busy.replace("at work", "<idle>"), **names)
    for process in (worker, idle):
        assert process.stdout is not None
        process.stdout.readline()
    assert launch(tmp_path, part="airflow-scheduler", patience=60) == "launched\n"
    assert idle.wait(20) == -signal.SIGKILL
    assert worker.poll() is None
    worker.communicate("done\n", timeout=20)
    assert worker.returncode == 0


def test_a_lock_of_a_postgres_that_is_gone_is_removed(tmp_path: Path) -> None:
    lock = tmp_path / "postmaster.pid"
    lock.write_text("1\n/somewhere\n")
    assert launch(tmp_path, part="postgres", postgres_data=str(tmp_path)) == "launched\n"
    assert not lock.exists()


def test_secrets_stand_in_files_that_only_the_owner_can_read(tmp_path: Path) -> None:
    layout = Layout(PROJECT, tmp_path / "with space", tmp_path / ".env")
    make_folders(layout)
    assert oct((layout.run).stat().st_mode)[-3:] == "700"
    path = write_configuration(layout, [Program("web", layout.run / "100%.json")])
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert "100%%.json" in path.read_text()


def test_a_long_path_gets_a_socket_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COINWATCH_LOCAL_DIR", str(tmp_path / ("long" * 25)))
    layout = find_layout(PROJECT)
    assert len(str(layout.supervisor_socket)) < 100
    assert layout.env_file == tmp_path / ("long" * 25) / ".env"
    make_folders(layout)
    assert oct(layout.supervisor_socket.parent.stat().st_mode)[-3:] == "700"
    layout.supervisor_socket.parent.rmdir()


def launch(home: Path, part: str, patience: float = 0, postgres_data: str | None = None) -> str:
    """Run launch.py as supervisord does, with a program that says so when it runs."""
    specification = home / "specification.json"
    specification.write_text(
        json.dumps(
            {
                "command": [sys.executable, "-c", "print('launched')"],
                "environment": {"COINWATCH_STACK": str(home), "COINWATCH_PART": part},
                "directory": str(home),
                "user": None,
                "remove": [],
                "postgres_data": postgres_data,
                "patience": patience,
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


def test_data_whose_passwords_are_gone_say_what_to_do() -> None:
    outcome = 'not ready: FATAL:  password authentication failed for user "postgres"'
    assert "./local_run.sh reset" in str(explain_failure("Postgres", "some log line", Path("postgres.log"), outcome))
