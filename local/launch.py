"""Becomes one part of the stack: ``python -I launch.py SPECIFICATION``; supervisord runs it at every start of a part.

The specification is a 0600 JSON file, so that neither a secret nor a path needs quoting in supervisord's configuration
and no secret appears among a process's arguments:

    {"command": [...], "environment": {...}, "directory": "...", "user": "nobody" or null, "remove": ["stale pid file"],
     "postgres_data": "..." or null, "patience": seconds}

Standard library only, and it imports nothing of this package: it is run as a file.
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
    specification = json.loads(Path(path).read_text())
    for stale in specification["remove"]:
        Path(stale).unlink(missing_ok=True)
    if specification["postgres_data"]:
        clear_stale_lock(Path(specification["postgres_data"]))
    end_leftovers(specification["environment"], specification["patience"])
    os.chdir(specification["directory"])
    if specification["user"]:
        become(specification["user"])
    os.execvpe(specification["command"][0], specification["command"], specification["environment"])  # noqa: S606


def end_leftovers(environment: dict[str, str], patience: float) -> None:
    """End the children that this part's last process left when it was killed; they would hold its port.

    The scheduler's are given ``patience`` seconds: a worker ends the task it is at, and its task is not lost, while an
    idle one would wait for ever for a scheduler that is gone. A process of its own waits for them.
    """
    left = leftovers(environment)
    if not patience:
        kill(left)
        return
    kill([pid for pid in left if is_idle(pid)])
    busy = leftovers(environment)
    if busy:
        in_background(lambda: end_when_idle(busy, environment, patience))


def in_background(task: Callable[[], None]) -> None:
    """Run it in a process that is nobody's child: this one becomes a program that would not wait for it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork() == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        task()
    os._exit(0)


def end_when_idle(busy: list[int], environment: dict[str, str], patience: float) -> None:
    deadline = time.monotonic() + patience
    while busy and time.monotonic() < deadline:
        time.sleep(0.5)
        kill([pid for pid in busy if is_idle(pid)])
        busy = [pid for pid in leftovers(environment) if pid in busy]
    kill(busy)


def leftovers(environment: dict[str, str]) -> list[int]:
    """Running processes of the same part of the same stack."""
    wanted = {f"{name}={environment[name]}".encode() for name in ("COINWATCH_STACK", "COINWATCH_PART")}
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted <= set((entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def is_idle(pid: int) -> bool:
    """As Airflow's worker says of itself in its title."""
    try:
        return b"<idle>" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def become(name: str) -> None:
    """Give up root for good."""
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def clear_stale_lock(data: Path) -> None:
    """Make way for a new server after one that was killed.

    Its children end by themselves within moments of its death; a new server refuses to start before. After a reboot
    the process id in postmaster.pid may belong to anybody: the file goes when no server works in this directory.
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
