"""Real StatsD, carbon and graphite-web on free ports, started as in local_run.sh."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from local.configuration import Configuration
from local.graphite import (
    carbon_command,
    graphite_environment,
    prepare_graphite,
    statsd_command,
    statsd_environment,
    web_command,
)
from local.node import find_node, install_packages
from local.paths import Paths, make_folders
from local.ports import PORTS
from tests.support.ports import free_port

PROJECT = Path(__file__).parents[2]
READY_SECONDS = 60


@dataclass(frozen=True)
class GraphiteServer:
    """``url``: graphite-web; ``web_log``: its output. ``statsd_port``: StatsD, TCP and UDP."""

    url: str
    statsd_port: int
    carbon_port: int
    web_log: Path = Path(os.devnull)

    def render(self, target: str, start: str = "-10min", until: str = "now") -> list[dict[str, Any]]:
        """The series of a target from the render API. Raises HTTPError for an invalid target."""
        query = urlencode({"target": target, "from": start, "until": until, "format": "json"})
        with urllib.request.urlopen(f"{self.url}/render?{query}", timeout=20) as response:
            series: list[dict[str, Any]] = json.load(response)
        return series

    def values(self, target: str) -> dict[str, list[float]]:
        """The non-null points of a target by series name, without empty series."""
        points = {
            series["target"]: [value for value, _ in series["datapoints"] if value is not None]
            for series in self.render(target)
        }
        return {name: values for name, values in points.items() if values}

    def wait_for(self, target: str, series: int = 1) -> dict[str, list[float]]:
        """Wait until that many series have values (StatsD flushes every ten seconds); return them."""
        _wait(f"points of {series} series {target}", lambda: len(self.values(target)) >= series, READY_SECONDS)
        return self.values(target)


@contextmanager
def graphite_server() -> Iterator[GraphiteServer]:
    """The three servers with empty storage, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="coinwatch-graphite-"))
    configuration = graphite_configuration(folder)
    make_folders(configuration.paths)
    node = find_node()
    modules = install_packages(configuration, node)
    prepare_graphite(configuration)
    server = GraphiteServer(
        configuration.http("graphite"),
        configuration.ports["statsd"],
        configuration.ports["carbon"],
        folder / "web.log",
    )
    carbon_and_web = graphite_environment(configuration)
    commands = {
        "carbon": (carbon_command(configuration), carbon_and_web),
        "web": (web_command(configuration), carbon_and_web),
        "statsd": (statsd_command(configuration, node, modules), statsd_environment(configuration)),
    }
    try:
        with ExitStack() as running:
            for name, (command, environment) in commands.items():
                _start(running, folder / f"{name}.log", command, environment)
            _wait("graphite-web", lambda: server.render("constantLine(1)") != [], READY_SECONDS)
            for name, port in (("carbon", server.carbon_port), ("statsd", server.statsd_port)):
                _wait_for_port(port, folder / f"{name}.log")
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def graphite_configuration(folder: Path) -> Configuration:
    """The configuration of a stack of StatsD, carbon and graphite-web, on free ports."""
    return Configuration(
        paths=Paths(PROJECT, folder, folder / ".env"),
        user_settings={"COINWATCH_GRAPHITE_SECRET_KEY": "for-this-test-run-only"},
        ports={name: free_port() for name in PORTS},
        bind_host="127.0.0.1",
        addresses={},
        airflow_database="",
        runs_postgres=False,
        local_database=False,
        runs_statsd=True,
        runs_graphite=True,
        runs_mail_catcher=False,
    )


def _start(running: ExitStack, log: Path, command: Sequence[str], environment: dict[str, str]) -> None:
    output = running.enter_context(log.open("wb"))
    process = subprocess.Popen(command, env=environment, cwd=log.parent / "graphite", stdout=output, stderr=output)
    running.callback(_stop, process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_port(port: int, log: Path) -> None:
    def listens() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    try:
        _wait(log.stem, listens, READY_SECONDS)
    except TimeoutError as error:
        raise RuntimeError(f"{error}; its log:\n{log.read_text()[-2000:]}") from None


def _wait(what: str, ready: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} seconds")
        time.sleep(0.2)
