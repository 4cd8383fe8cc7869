"""``coinwatch web`` as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.conftest import Database
from tests.support.ports import free_port
from tests.web.seed import TOKEN


def start(database: Database, port: int, **more: str) -> "subprocess.Popen[str]":
    environment = os.environ | {
        "COINWATCH_DATABASE_URL": database.url("app"),
        "COINWATCH_SECRET_KEY": "signs-links-in-this-test",
        "COINWATCH_API_TOKEN": TOKEN,
    }
    command = [str(Path(sys.executable).parent / "coinwatch"), "web", "--port", str(port)]
    return subprocess.Popen(
        command, env=environment | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
    )


def health(port: int) -> int:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as response:
                assert json.load(response)["status"] == "ok"
                return int(response.status)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_server_stops_on_sigterm(database: Database) -> None:
    port = free_port()
    process = start(database, port)
    assert health(port) == 200
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert "Traceback" not in output
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_port_in_use_is_reported_without_traceback(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(database, port)
        output, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    text = " ".join(output.split())
    assert str(port) in text
    assert "--port" in text
    assert "Traceback" not in output


def test_missing_or_example_secret_is_reported(database: Database) -> None:
    for variable, value in (("COINWATCH_API_TOKEN", ""), ("COINWATCH_SECRET_KEY", "change-me")):
        process = start(database, free_port(), **{variable: value})
        output, _ = process.communicate(timeout=30)
        assert process.returncode != 0
        assert variable in output
        assert TOKEN not in output
        assert "Traceback" not in output
