"""Finding and terminating all processes of a stack, even without its supervisor. Standard library only.

A process belongs to the stack if its environment has COINWATCH_STACK=<home>, which children inherit. Postgres
overwrites that memory with its process title; its processes are found by their working directory, the data directory.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local.paths import MARKER

GRACE_SECONDS = 15.0


@dataclass(frozen=True)
class Process:
    """A running process."""

    pid: int
    name: str
    parent: int

    @property
    def is_postgres(self) -> bool:
        return self.name == "postgres"


def find_processes(marker: str, postgres_data: Iterable[Path] = ()) -> list[Process]:
    """The running processes of the stack, except this one and its ancestors."""
    wanted = f"{MARKER}={marker}".encode()
    folders = {str(folder) for folder in postgres_data}
    own = _ancestors(os.getpid())
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in own:
            continue
        process = _read(int(entry.name))
        if process and (_has_marker(entry, wanted) or (process.is_postgres and _working_directory(entry) in folders)):
            found.append(process)
    return found


def end_processes(marker: str, postgres_data: Iterable[Path] = ()) -> int:
    """Terminate all processes of the stack, forcibly if necessary. Returns their number.

    Only the top process of each service gets a signal and ends its own children. Airflow's scheduler is first, because
    its tasks need the other services to finish; Postgres is last, with SIGINT for a fast shutdown that does not wait
    for clients. Processes still running after 15 seconds get SIGKILL.
    """
    folders = list(postgres_data)
    found = find_processes(marker, folders)
    heads = _heads(found)
    for group in _in_order(heads):
        for process in group:
            _send(process.pid, signal.SIGINT if process.is_postgres else signal.SIGTERM)
        _wait_until_gone({process.pid for process in group}, GRACE_SECONDS)
    for _ in range(20):
        left = find_processes(marker, folders)
        if not left:
            break
        for process in left:
            _send(process.pid, signal.SIGKILL)
        time.sleep(0.1)
    return len(found)


def is_alive(pid: int) -> bool:
    """Whether the process is running; a zombie is not."""
    return _read(pid) is not None


def _in_order(heads: list[Process]) -> tuple[list[Process], ...]:
    first = [process for process in heads if _service(process.pid) == b"airflow-scheduler"]
    last = [process for process in heads if process.is_postgres]
    return first, [process for process in heads if process not in first and process not in last], last


def _service(pid: int) -> bytes:
    """The name of its service, from its environment."""
    prefix = b"COINWATCH_SERVICE="
    values = _environment(Path(f"/proc/{pid}"))
    return next((value.removeprefix(prefix) for value in values if value.startswith(prefix)), b"")


def _heads(found: list[Process]) -> list[Process]:
    """Processes whose parent is not among them: the supervisor, or the services it left behind."""
    pids = {process.pid for process in found}
    return [process for process in found if process.parent not in pids]


def _wait_until_gone(pids: set[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while pids and time.monotonic() < deadline:
        time.sleep(0.05)
        pids = {pid for pid in pids if is_alive(pid)}


def _send(pid: int, number: signal.Signals) -> None:
    # It has exited or belongs to another user; the caller reports remaining processes.
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _read(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    state, parent = text[text.rindex(")") + 2 :].split()[:2]
    return None if state in "ZX" else Process(pid, name, int(parent))


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid > 1:
        found.add(pid)
        process = _read(pid)
        pid = process.parent if process else 0
    return found


def _has_marker(entry: Path, wanted: bytes) -> bool:
    return wanted in _environment(entry)


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _working_directory(entry: Path) -> str:
    try:
        return str((entry / "cwd").readlink())
    except OSError:
        return ""
