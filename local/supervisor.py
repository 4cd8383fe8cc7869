"""supervisord: its configuration, and talking to it over a socket for its owner only. Standard library only."""

import http.client
import socket
import subprocess
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import StackError
from local.layout import Layout, write_private

ATTEMPTS = 60  # supervisord waits one second more before each: about half an hour, then it gives a part up


@dataclass(frozen=True)
class Program:
    """What supervisord has to know of a part; ``specification`` is the file for launch.py."""

    name: str
    specification: Path
    stop_signal: str = "TERM"
    stop_seconds: int = 12


@dataclass(frozen=True)
class ProgramState:
    name: str
    state: str
    pid: int
    started: float
    exit_status: int


def write_configuration(layout: Layout, programs: Iterable[Program]) -> Path:
    """Write supervisord.conf (0600); nothing starts by itself, start.py decides the order."""
    launcher = layout.project / "local" / "launch.py"
    lines = [
        "[supervisord]",
        f"logfile={_escaped(layout.logs / 'supervisord.log')}",
        "logfile_maxbytes=2MB",
        "logfile_backups=1",
        f"pidfile={_escaped(layout.run / 'supervisord.pid')}",
        f"childlogdir={_escaped(layout.logs)}",
        "nodaemon=true",
        "silent=true",
        "umask=077",
        "[unix_http_server]",
        f"file={_escaped(layout.supervisor_socket)}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        lines += [
            f"[program:{program.name}]",
            f"command={_command([layout.python, '-I', launcher, program.specification])}",
            "autostart=false",
            "autorestart=true",
            "startsecs=2",
            f"startretries={ATTEMPTS}",
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={program.stop_seconds}",
            # Each part ends its own children, in its own order: Airflow's scheduler waits for the tasks at work.
            "killasgroup=true",
            # From its working directory, run/: of all settings, supervisord expands % twice in this one.
            f"stdout_logfile=../logs/{program.name}.log",
            "redirect_stderr=true",
            "stdout_logfile_maxbytes=5MB",
            "stdout_logfile_backups=2",
        ]
    path = layout.run / "supervisord.conf"
    write_private(path, "\n".join(lines) + "\n")
    return path


def start_supervisor(layout: Layout, configuration: Path, environment: dict[str, str]) -> None:
    """Start supervisord in a session of its own, so that Ctrl-C and a closed terminal do not reach it."""
    layout.supervisor_socket.unlink(missing_ok=True)
    with (layout.logs / "supervisord.out").open("w") as output:
        process = subprocess.Popen(
            [layout.python, "-m", "supervisor.supervisord", "-n", "-c", configuration],
            cwd=layout.run,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 20
    while not is_running(layout):
        if process.poll() is not None or time.monotonic() > deadline:
            said = (layout.logs / "supervisord.out").read_text().strip() or "it said nothing"
            raise StackError(f"supervisord did not start: {said.splitlines()[0]}")
        time.sleep(0.1)


def is_running(layout: Layout) -> bool:
    """Whether a supervisord of this stack answers."""
    try:
        return bool(_call(layout, "getState")["statecode"] == 1)
    except OSError:
        return False


def start_program(layout: Layout, name: str) -> None:
    _call(layout, "startProcess", name, False)


def stop_program(layout: Layout, name: str) -> None:
    """Ask a part to stop without waiting for it; does nothing when it does not run."""
    try:
        _call(layout, "stopProcess", name, False)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != 70:  # NOT_RUNNING
            raise


def shut_down(layout: Layout) -> None:
    _call(layout, "shutdown")


def read_states(layout: Layout) -> dict[str, ProgramState]:
    """State of every part by name; states are supervisord's (RUNNING, STARTING, BACKOFF, FATAL, STOPPED, EXITED)."""
    return {
        row["name"]: ProgramState(row["name"], row["statename"], row["pid"], float(row["start"]), row["exitstatus"])
        for row in _call(layout, "getAllProcessInfo")
    }


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


class _SocketTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _SocketConnection(self._path)


def _call(layout: Layout, method: str, *arguments: Any) -> Any:
    proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_SocketTransport(layout.supervisor_socket))
    with proxy:
        return getattr(proxy.supervisor, method)(*arguments)


def _escaped(value: Path | str) -> str:
    return str(value).replace("%", "%%")


def _command(words: Iterable[Path | str]) -> str:
    return " ".join('"' + _escaped(word).replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
