"""Stopping the stack so that no process is left, whatever state it is in. Standard library only."""

import time
import xmlrpc.client
from contextlib import suppress

from local import supervisor
from local.errors import StackError
from local.layout import Layout
from local.postgres_places import possible_homes
from local.processes import end_processes, find_processes

FIRST = ("airflow-scheduler",)  # its tasks at work need the api-server, the database and the mail server to end
LAST = ("carbon", "postgres")  # others still write to them while they stop


def stop_stack(layout: Layout) -> int:
    """Stop everything; returns how many processes there were. StackError names what could not be stopped."""
    folders = [home / "data" for home in possible_homes(layout)]
    count = len(find_processes(layout.marker, folders))
    if supervisor.is_running(layout):
        # When it dies meanwhile, what it leaves is found below.
        with suppress(OSError, xmlrpc.client.Error):
            _stop_in_order(layout)
    end_processes(layout.marker, folders)
    left = find_processes(layout.marker, folders)
    if left:
        names = ", ".join(f"{process.name} ({process.pid})" for process in left)
        raise StackError(f"These processes could not be stopped, they may belong to another user: {names}.")
    layout.supervisor_socket.unlink(missing_ok=True)
    return count


def _stop_in_order(layout: Layout) -> None:
    names = list(supervisor.read_states(layout))
    middle = [name for name in names if name not in FIRST + LAST]
    for group in ([name for name in names if name in FIRST], middle, [name for name in names if name in LAST]):
        for name in group:
            supervisor.stop_program(layout, name)
        _wait_for(layout, group, 45)
    supervisor.shut_down(layout)
    deadline = time.monotonic() + 10
    while supervisor.is_running(layout) and time.monotonic() < deadline:
        time.sleep(0.1)


def _wait_for(layout: Layout, names: list[str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        states = supervisor.read_states(layout)
        if all(states[name].state in ("STOPPED", "EXITED", "FATAL") for name in names):
            return
        time.sleep(0.1)
