"""A whole stack, started by ``local_run.sh`` on free ports and in its own folder."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.support.ports import free_port

PROJECT = Path(__file__).parents[2]
PORTS = (
    "POSTGRES", "STATSD", "STATSD_ADMIN", "CARBON", "GRAPHITE", "SMTP", "MAIL_CATCHER", "COINNEWS", "AIRFLOW", "WEB",
    "GRAFANA",
)  # fmt: skip
COINWATCH = PROJECT / ".venv" / "bin" / "coinwatch"


@dataclass
class Stack:
    """A running stack. ``home`` is its COINWATCH_LOCAL_DIR."""

    home: Path
    ports: dict[str, int]
    environment: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    admin_user: str = "admin"
    _cached_token: str = ""

    @property
    def admin_password(self) -> str:
        return self.secrets["COINWATCH_AIRFLOW_ADMIN_PASSWORD"]

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['AIRFLOW']}"

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['WEB']}"

    @property
    def mail_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['MAIL_CATCHER']}"

    def run(self, *arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """``./local_run.sh ARGUMENTS``."""
        return subprocess.run(
            [PROJECT / "local_run.sh", *arguments],
            env=self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def start(self) -> str:
        done = self.run("start", "--detach")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        for line in (self.home / ".env").read_text().splitlines():
            name, separator, value = line.partition("=")
            if separator and not name.startswith("#"):
                self.secrets[name.strip()] = value.strip().strip("'\"")
        return done.stdout

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return status

    def coinwatch(self, *arguments: str) -> str:
        """Run a ``coinwatch`` command on the stack; returns its output."""
        database = f"postgresql://coinwatch_app:{self.secrets['COINWATCH_DATABASE_APP_PASSWORD']}"
        environment = {
            **self.environment,
            "COINWATCH_ENV_FILE": str(self.home / ".env"),
            "COINWATCH_DATABASE_URL": f"{database}@127.0.0.1:{self.ports['POSTGRES']}/coinwatch",
        }
        done = subprocess.run(
            [COINWATCH, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query on the coinwatch database, as the superuser."""
        password = self.secrets["COINWATCH_POSTGRES_PASSWORD"]
        url = f"postgresql://postgres:{password}@127.0.0.1:{self.ports['POSTGRES']}/coinwatch"
        with psycopg.connect(url, row_factory=dict_row, options="-c timezone=UTC") as connection:
            return connection.execute(query, parameters).fetchall()

    def airflow(self, path: str, body: object = None, method: str | None = None) -> Any:
        """Call Airflow's REST API as the admin: GET, or POST with a body, unless ``method`` is given."""
        return self.get(f"{self.airflow_url}/api/v2/{path}", self._token(), body, method)

    def _token(self) -> str:
        """One login for all calls: Airflow needs a tenth of a second to check the password."""
        if not self._cached_token:
            self._cached_token = self._login()
        return self._cached_token

    def _login(self) -> str:
        login = json.dumps({"username": self.admin_user, "password": self.admin_password}).encode()
        request = urllib.request.Request(
            f"{self.airflow_url}/auth/token", login, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            token: str = json.load(response)["access_token"]
        return token

    def get(self, url: str, token: str = "", body: object = None, method: str | None = None) -> Any:
        """The JSON response of a URL: GET, or POST with a body, unless ``method`` is given."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=20) as response:
            return json.load(response)

    def emails(self) -> list[dict[str, Any]]:
        """All emails in the mail catcher."""
        found: list[dict[str, Any]] = self.get(f"{self.mail_url}/email")
        return found

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 90) -> Any:
        """The condition's first truthy value; errors, as of a restarting service, are ignored until the timeout."""
        deadline, last_error = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                if value := condition():
                    return value
            except (OSError, psycopg.Error, AssertionError, ValueError, KeyError) as error:
                last_error = error
            time.sleep(0.5)
        raise AssertionError(f"timed out after {seconds:.0f} s waiting for {what} (last error: {last_error!r})")

    def wait_for_cycles(self, number: int, after: datetime, seconds: float = 240) -> list[dict[str, Any]]:
        """Finished runs of the DAG started after a time, once there are at least ``number``."""

        def ended() -> list[dict[str, Any]]:
            runs = self.airflow("dags/collect_prices/dagRuns?order_by=-start_date&limit=50")["dag_runs"]
            new = [run for run in runs if run["end_date"] and datetime.fromisoformat(run["start_date"]) > after]
            return new if len(new) >= number else []

        found: list[dict[str, Any]] = self.wait(f"{number} cycles", ended, seconds)
        return found


@contextmanager
def running_stack(home: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A running stack with additional settings; stopped and removed at the end."""
    home = home or make_home()
    ports = {name: free_port() for name in PORTS}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COINWATCH_", "AIRFLOW_"))}
    environment |= {f"COINWATCH_{name}_PORT": str(number) for name, number in ports.items()}
    environment |= {"COINWATCH_LOCAL_DIR": str(home), "COINWATCH_GRAFANA": "off", **(settings or {})}
    stack = Stack(home, ports, environment)
    try:
        stack.start()
        yield stack
    finally:
        stack.run("stop")
        shutil.rmtree(home, ignore_errors=True)


def make_home() -> Path:
    """An empty folder that the user running Postgres can enter, with characters that configuration files treat as
    syntax."""
    home = Path(tempfile.mkdtemp(prefix="my coins (50%) #1 "))
    home.chmod(0o755)
    return home
