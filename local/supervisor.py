"""supervisord: its configuration, and control over a socket that only its owner can use. Standard library only."""

import http.client
import shlex
import socket
import subprocess
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import StackError
from local.paths import Paths, write_private

LAUNCHER = "launch.sh"
START_RETRIES = 60  # each after one second more than the last: supervisord gives up after about half an hour


@dataclass(frozen=True)
class Program:
    """A service for supervisord; ``specification`` is the file for launch.py."""

    name: str
    specification: Path
    stop_signal: str = "TERM"
    stop_seconds: int = 12


@dataclass(frozen=True)
class ProgramState:
    """The state of a service; ``started`` in Unix seconds."""

    name: str
    state: str
    pid: int
    started: float
    exit_status: int


def write_configuration(paths: Paths, programs: Iterable[Program]) -> Path:
    """Write supervisord.conf (mode 0600). Nothing starts automatically; start.py decides the order.

    All paths are relative to run/, the working directory: supervisord expands ``%`` and takes `` #`` for a comment, so
    the project's path, which may contain both, must not appear in this file.
    """
    launcher = [str(word) for word in (paths.python, "-I", paths.project / "local" / "launch.py")]
    write_private(paths.run / LAUNCHER, f'exec {shlex.join(launcher)} "$1"\n')
    lines = [
        "[supervisord]",
        "logfile=../logs/supervisord.log",
        "logfile_maxbytes=2MB",
        "logfile_backups=1",
        "pidfile=supervisord.pid",
        "childlogdir=../logs",
        "nodaemon=true",
        "silent=true",
        "umask=077",
        "[unix_http_server]",
        f"file={_socket_file(paths)}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        lines += [
            f"[program:{program.name}]",
            f"command=/bin/sh {LAUNCHER} {program.specification.name}",
            "autostart=false",
            "autorestart=true",
            "startsecs=2",
            f"startretries={START_RETRIES}",
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={program.stop_seconds}",
            # Services terminate their own children: Airflow's scheduler waits for running tasks.
            "killasgroup=true",
            f"stdout_logfile=../logs/{program.name}.log",
            "redirect_stderr=true",
            "stdout_logfile_maxbytes=5MB",
            "stdout_logfile_backups=2",
        ]
    path = paths.run / "supervisord.conf"
    write_private(path, "\n".join(lines) + "\n")
    return path


def start_supervisor(paths: Paths, configuration: Path, environment: dict[str, str]) -> None:
    """Start supervisord in its own session, so that Ctrl-C and closing the terminal do not affect it."""
    paths.supervisor_socket.unlink(missing_ok=True)
    with (paths.logs / "supervisord.out").open("w") as output:
        process = subprocess.Popen(
            [paths.python, "-m", "supervisor.supervisord", "-n", "-c", configuration.name],
            cwd=paths.run,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 20
    while not is_running(paths):
        if process.poll() is not None or time.monotonic() > deadline:
            text = (paths.logs / "supervisord.out").read_text().strip() or "no output"
            raise StackError(f"supervisord did not start: {text.splitlines()[0]}")
        time.sleep(0.1)


def is_running(paths: Paths) -> bool:
    """Whether this stack's supervisord responds."""
    try:
        return bool(_call(paths, "getState")["statecode"] == 1)
    except xmlrpc.client.Fault:
        return True  # while it shuts down, every call is a fault
    except OSError:
        return False


def start_program(paths: Paths, name: str) -> None:
    """Start a service, without waiting for it."""
    _call(paths, "startProcess", name, False)


def stop_program(paths: Paths, name: str) -> None:
    """Ask a service to stop, without waiting for it. Does nothing if it is not running."""
    try:
        _call(paths, "stopProcess", name, False)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != 70:  # NOT_RUNNING
            raise


def shut_down(paths: Paths) -> None:
    """Stop supervisord and its services."""
    _call(paths, "shutdown")


def read_states(paths: Paths) -> dict[str, ProgramState]:
    """The state of every service by name: RUNNING, STARTING, BACKOFF, FATAL, STOPPED or EXITED."""
    return {
        row["name"]: ProgramState(row["name"], row["statename"], row["pid"], float(row["start"]), row["exitstatus"])
        for row in _call(paths, "getAllProcessInfo")
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


def _call(paths: Paths, method: str, *arguments: Any) -> Any:
    proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_SocketTransport(paths.supervisor_socket))
    with proxy:
        return getattr(proxy.supervisor, method)(*arguments)


def _socket_file(paths: Paths) -> str:
    path = paths.supervisor_socket
    return path.name if path.parent == paths.run else str(path).replace("%", "%%")
