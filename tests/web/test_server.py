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
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
                assert json.load(answer)["status"] == "ok"
                return int(answer.status)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_it_serves_until_it_is_told_to_stop(database: Database) -> None:
    port = free_port()
    process = start(database, port)
    assert health(port) == 200
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert "Traceback" not in output
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_a_taken_port_is_one_clear_sentence(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(database, port)
        output, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert f"Port {port} on 127.0.0.1 is taken." in " ".join(output.split())
    assert "Traceback" not in output


def test_a_secret_that_is_missing_or_an_example_is_refused_by_name(database: Database) -> None:
    for variable, value in (("COINWATCH_API_TOKEN", ""), ("COINWATCH_SECRET_KEY", "change-me")):
        process = start(database, free_port(), **{variable: value})
        output, _ = process.communicate(timeout=30)
        assert process.returncode != 0
        assert variable in output
        assert TOKEN not in output
        assert "Traceback" not in output
