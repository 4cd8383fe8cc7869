"""``coinwatch web`` as a process, and what it needs in its environment."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import Database
from tests.web.seed import TOKEN

COINWATCH = str(Path(sys.executable).parent / "coinwatch")


def web_environment(database: Database, **more: str) -> Mapping[str, str]:
    settings = {
        "COINWATCH_DATABASE_URL": database.url("app"),
        "COINWATCH_SECRET_KEY": "signs-links-in-this-test",
        "COINWATCH_API_TOKEN": TOKEN,
    }
    return os.environ | settings | more


def start_web(environment: Mapping[str, str], port: int, *options: str) -> "subprocess.Popen[str]":
    command = [COINWATCH, "web", "--port", str(port), *options]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
    )


def wait_for_health(port: int) -> int:
    """The status of /health as soon as the server responds."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as response:
                assert json.load(response)["status"] == "ok"
                return int(response.status)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
