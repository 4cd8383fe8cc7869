"""Become one service of the stack: ``python -I launch.py SPECIFICATION``. supervisord runs it to start a service.

The specification is a JSON file with mode 0600, so that secrets and paths need no quoting in supervisord's
configuration and no secret appears in process arguments:

    {"command": [...], "environment": {...}, "directory": "...", "user": "nobody" or null, "remove": ["stale pid file"],
     "postgres_data": "..." or null, "grace_seconds": 60}

Standard library only, and no imports from this package, because it is run as a file.
"""

import json
import os
import pwd
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn


def main(path: str) -> NoReturn:
    """Become the service described by the JSON file ``path``."""
    specification = json.loads(Path(path).read_text())
    for stale in specification["remove"]:
        Path(stale).unlink(missing_ok=True)
    if specification["postgres_data"]:
        clear_stale_lock(Path(specification["postgres_data"]))
    end_leftovers(specification["environment"], specification["grace_seconds"])
    os.chdir(specification["directory"])
    if specification["user"]:
        become(specification["user"])
    os.execvpe(specification["command"][0], specification["command"], specification["environment"])  # noqa: S606


def end_leftovers(environment: dict[str, str], grace_seconds: float) -> None:
    """Terminate children left over from a killed process of this service, which would block its port.

    Workers of the scheduler have ``grace_seconds`` to finish their task; idle ones, which would wait forever for a
    scheduler that is gone, are terminated immediately. A background process waits for them.
    """
    left = leftovers(environment)
    if not grace_seconds:
        kill(left)
        return
    kill([pid for pid in left if is_idle(pid)])
    busy = leftovers(environment)
    if busy:
        in_background(lambda: end_when_idle(busy, environment, grace_seconds))


def in_background(task: Callable[[], None]) -> None:
    """Run a function in a detached process, because this process becomes a program that does not reap its children."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork() == 0:
        devnull = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(devnull, descriptor)
        task()
    os._exit(0)


def end_when_idle(busy: list[int], environment: dict[str, str], grace_seconds: float) -> None:
    """Terminate each process once it is idle, and all of them after ``grace_seconds``."""
    deadline = time.monotonic() + grace_seconds
    while busy and time.monotonic() < deadline:
        time.sleep(0.5)
        kill([pid for pid in busy if is_idle(pid)])
        busy = [pid for pid in leftovers(environment) if pid in busy]
    kill(busy)


def leftovers(environment: dict[str, str]) -> list[int]:
    """Running processes of the same service of the same stack."""
    wanted = {f"{name}={environment[name]}".encode() for name in ("COINWATCH_STACK", "COINWATCH_SERVICE")}
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted <= set((entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def is_idle(pid: int) -> bool:
    """Whether an Airflow worker's process title says that it is idle."""
    try:
        return b"<idle>" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def kill(pids: list[int]) -> None:
    """Send SIGKILL to processes; those that have exited are skipped."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def become(name: str) -> None:
    """Switch to another user permanently."""
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def clear_stale_lock(data: Path) -> None:
    """Remove the lock file of a killed server.

    The server's children exit shortly after it; a new server does not start before. After a reboot, the process id in
    postmaster.pid may belong to any process, so the file is removed once no server runs in this directory.
    """
    for attempt in range(100):
        servers = servers_in(data)
        if not servers:
            break
        if attempt == 60:
            kill(servers)
        time.sleep(0.1)
    if not servers_in(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def servers_in(data: Path) -> list[int]:
    """Postgres processes whose working directory is ``data``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == data and _name(entry) == "postgres":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _name(entry: Path) -> str:
    return (entry / "comm").read_text().strip()


if __name__ == "__main__":
    main(sys.argv[1])
