"""The whole stack as a newcomer starts it, on ports of its own, with a recorded market of the test's own making."""

import json
import math
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.ports import free_port

PROJECT = Path(__file__).parents[2]
PORTS = (
    "POSTGRES STATSD STATSD_ADMIN CARBON GRAPHITE SMTP MAIL COINNEWS AIRFLOW WEB GRAFANA".split()  # noqa: SIM905
)
CYCLE_SECONDS = 15
CANDLES_PER_MINUTE = 12
MINUTES_OF_MARKET = 60


def candle_close(number: int) -> float:
    """A market that swings by about 2 % over ten candles."""
    return round(40_000 * (1 + 0.01 * math.sin(number * math.tau / 10)) + number, 2)


@dataclass
class Stack:
    """A started stack. ``home`` is its COINWATCH_LOCAL_DIR."""

    home: Path
    ports: dict[str, int]
    environment: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    admin_user: str = "admin"

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
        return f"http://127.0.0.1:{self.ports['MAIL']}"

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
        answer: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return answer

    def coinwatch(self, *arguments: str) -> str:
        """A ``coinwatch`` command with the stack's addresses."""
        database = f"postgresql://coinwatch_app:{self.secrets['COINWATCH_DATABASE_APP_PASSWORD']}"
        environment = {
            **self.environment,
            "COINWATCH_ENV_FILE": str(self.home / ".env"),
            "COINWATCH_DATABASE_URL": f"{database}@127.0.0.1:{self.ports['POSTGRES']}/coinwatch",
        }
        command = [PROJECT / ".venv" / "bin" / "coinwatch", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query on the coinwatch database, as the superuser."""
        password = self.secrets["COINWATCH_POSTGRES_PASSWORD"]
        url = f"postgresql://postgres:{password}@127.0.0.1:{self.ports['POSTGRES']}/coinwatch"
        with psycopg.connect(url, row_factory=dict_row, options="-c timezone=UTC") as connection:
            return connection.execute(query, parameters).fetchall()

    def airflow(self, path: str) -> Any:
        """GET from Airflow's REST API as the admin."""
        login = json.dumps({"username": self.admin_user, "password": self.admin_password}).encode()
        request = urllib.request.Request(
            f"{self.airflow_url}/auth/token", login, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            token = json.load(answer)["access_token"]
        return self.get(f"{self.airflow_url}/api/v2/{path}", token)

    def get(self, url: str, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return json.load(answer)

    def mails(self) -> list[dict[str, Any]]:
        """What the catcher shows."""
        found: list[dict[str, Any]] = self.get(f"{self.mail_url}/email")
        return found

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 90) -> Any:
        """The condition's first true value; trouble on the way (a part that restarts) is waited out."""
        deadline, trouble = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                if value := condition():
                    return value
            except (OSError, psycopg.Error, AssertionError, ValueError, KeyError) as error:
                trouble = error
            time.sleep(0.5)
        raise AssertionError(f"waited {seconds:.0f} s in vain for {what} (last trouble: {trouble!r})")

    def wait_for_cycles(self, number: int, after: datetime) -> list[dict[str, Any]]:
        """Scheduled runs that began after a moment, once there are so many that ended."""

        def ended() -> list[dict[str, Any]]:
            runs = self.airflow("dags/collect_prices/dagRuns?order_by=-start_date&limit=50")["dag_runs"]
            new = [run for run in runs if run["end_date"] and datetime.fromisoformat(run["start_date"]) > after]
            return new if len(new) >= number else []

        found: list[dict[str, Any]] = self.wait(f"{number} cycles", ended, seconds=60 + 3 * CYCLE_SECONDS * number)
        return found


def write_market(path: Path) -> None:
    """One-minute candles in the layout that ``coinwatch coinnews --replay`` reads."""
    start = datetime(2022, 1, 1, tzinfo=UTC)
    lines = ["timestamp,open,high,low,close,volume"]
    for number in range(MINUTES_OF_MARKET * CANDLES_PER_MINUTE):
        moment = (start + timedelta(minutes=number)).strftime("%Y-%m-%d %H:%M:%S.000000")
        close = candle_close(number)
        lines.append(f"{moment},{close},{close},{close},{close},1.0")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A stack with cycles of 15 s and a replayed market; stopped and removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="coinwatch-e2e-"))
    home.chmod(0o755)
    write_market(home / "market.csv")
    ports = {name: free_port() for name in PORTS}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COINWATCH_", "AIRFLOW_"))}
    environment |= {f"COINWATCH_{name}_PORT": str(number) for name, number in ports.items()}
    environment |= {
        "COINWATCH_LOCAL_DIR": str(home),
        "COINWATCH_COLLECT_SCHEDULE_MINUTES": str(CYCLE_SECONDS / 60),
        "COINWATCH_COINNEWS_REPLAY": str(home / "market.csv"),
        "COINWATCH_COINNEWS_SPEED": str(CANDLES_PER_MINUTE),
        "COINWATCH_GRAFANA": "off",
    }
    stack = Stack(home, ports, environment)
    stack.start()
    yield stack
    stack.run("stop")
    shutil.rmtree(home, ignore_errors=True)
