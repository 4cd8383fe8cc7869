"""Stopping the stack from any state, without leaving a process behind. Standard library only."""

import time
import xmlrpc.client
from contextlib import suppress

from local import supervisor
from local.errors import StackError
from local.paths import Paths
from local.processes import end_processes, find_processes

FIRST = ("airflow-scheduler",)  # its running tasks need the other services to finish
LAST = ("carbon", "postgres")  # other services write to them while stopping


def stop_stack(paths: Paths) -> int:
    """Stop everything; returns the number of processes. Raises StackError with those that could not be stopped."""
    folders = paths.postgres_data
    count = len(find_processes(paths.marker, folders))
    if supervisor.is_running(paths):
        # If the supervisor dies in the meantime, its processes are terminated below.
        with suppress(OSError, xmlrpc.client.Error):
            _stop_in_order(paths)
    end_processes(paths.marker, folders)
    left = find_processes(paths.marker, folders)
    if left:
        names = ", ".join(f"{process.name} ({process.pid})" for process in left)
        raise StackError(f"These processes could not be stopped; they may belong to another user: {names}.")
    paths.supervisor_socket.unlink(missing_ok=True)
    return count


def _stop_in_order(paths: Paths) -> None:
    names = list(supervisor.read_states(paths))
    middle = [name for name in names if name not in FIRST + LAST]
    for group in ([name for name in names if name in FIRST], middle, [name for name in names if name in LAST]):
        for name in group:
            supervisor.stop_program(paths, name)
        _wait_for(paths, group, 45)
    supervisor.shut_down(paths)
    deadline = time.monotonic() + 10
    while supervisor.is_running(paths) and time.monotonic() < deadline:
        time.sleep(0.1)


def _wait_for(paths: Paths, names: list[str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        states = supervisor.read_states(paths)
        if all(states[name].state in ("STOPPED", "EXITED", "FATAL") for name in names):
            return
        time.sleep(0.1)
