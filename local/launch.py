"""Becomes one part of the stack: ``python -I launch.py SPECIFICATION``; supervisord runs it at every start of a part.

The specification is a 0600 JSON file, so that neither a secret nor a path needs quoting in supervisord's configuration
and no secret appears among a process's arguments:

    {"command": [...], "environment": {...}, "directory": "...", "user": "nobody" or null, "remove": ["stale pid file"],
     "postgres_data": "..." or null}

Standard library only, and it imports nothing of this package: it is run as a file.
"""

import json
import os
import pwd
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn


def main(path: str) -> NoReturn:
    specification = json.loads(Path(path).read_text())
    for stale in specification["remove"]:
        Path(stale).unlink(missing_ok=True)
    if specification["postgres_data"]:
        clear_stale_lock(Path(specification["postgres_data"]))
    os.chdir(specification["directory"])
    if specification["user"]:
        become(specification["user"])
    os.execvpe(specification["command"][0], specification["command"], specification["environment"])  # noqa: S606


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
            for pid in servers:
                os.kill(pid, signal.SIGQUIT)
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
