"""The servers that are compared, each as its users would start it with two workers."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import requests

from benchmarks.api.statements import DAY_ROWS, HISTORY, LATEST
from benchmarks.shared.market import EXCHANGE
from benchmarks.shared.postgres import Database
from tests.support.ports import free_port

WORKERS = 2
PROGRAMS = Path(sys.executable).parent
SECRETS = {"COINWATCH_SECRET_KEY": "signs-links-in-this-run", "COINWATCH_API_TOKEN": "operators-token-of-this-run"}
STREAMS = {"COINWATCH_STREAM_CONNECTIONS": "5000", "COINWATCH_STREAM_CONNECTIONS_PER_ADDRESS": "5000"}


@dataclass(frozen=True)
class Server:
    """A running server; in ``paths`` of its reads, ``%d`` stands for the number of an instrument.

    ``headers`` are sent with each request.
    """

    name: str
    url: str
    paths: Mapping[str, str]
    headers: Sequence[str] = ()


@contextmanager
def coinwatch(database: Database, end: datetime) -> Iterator[Server]:
    """``coinwatch web``, with no limit on requests; the history it is asked for ends at ``end``."""
    port = free_port()
    period = f"start={_text(end, -DAY_ROWS)}&end={_text(end)}&limit={DAY_ROWS}"
    paths = {
        LATEST: f"/api/v1/prices/C%d?exchange={EXCHANGE}",
        HISTORY: f"/api/v1/history/C%d?exchange={EXCHANGE}&{period}",
    }
    settings = {"COINWATCH_DATABASE_URL": database.url, "COINWATCH_WEB_WORKERS": str(WORKERS), **SECRETS, **STREAMS}
    settings["COINWATCH_REQUESTS_PER_MINUTE"] = "0"
    with _running([str(PROGRAMS / "coinwatch"), "web", "--port", str(port)], settings):
        yield _when_ready(Server("coinwatch", f"http://127.0.0.1:{port}", paths))


@contextmanager
def tracker(database: Database, end: datetime, connection: str) -> Iterator[Server]:
    """Flask below gunicorn, with a database ``connection`` per ``worker`` or per ``request``."""
    port = free_port()
    paths = {LATEST: f"/prices/C%d/{EXCHANGE}", HISTORY: f"/history/C%d/{EXCHANGE}/{_text(end)}"}
    command = [str(PROGRAMS / "gunicorn"), "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}"]
    settings = {"DATABASE_URL": database.url, "TRACKER_CONNECTION": connection}
    with _running([*command, "--log-level", "warning", "benchmarks.api.tracker:app"], settings):
        yield _when_ready(Server(f"Flask, connection per {connection}", f"http://127.0.0.1:{port}", paths))


@contextmanager
def _running(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[None]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def _when_ready(server: Server) -> Server:
    """Wait until both reads work."""
    deadline = time.monotonic() + 60
    for path in server.paths.values():
        while True:
            try:
                response = requests.get(server.url + path % 1, timeout=60)
                response.raise_for_status()
                break
            except requests.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    _check(response)
    return server


def _check(response: requests.Response) -> None:
    found = len(response.json()["points"])
    if found != DAY_ROWS:
        raise RuntimeError(f"{response.url} returned {found} prices, expected {DAY_ROWS}")


def _text(moment: datetime, minutes: int = 0) -> str:
    return f"{moment + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
