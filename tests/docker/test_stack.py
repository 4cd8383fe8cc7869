"""The whole stack, run by docker_run.sh: built, used, crashed, stopped and started again.

Runs if COINWATCH_TEST_DOCKER=1 and Docker is available. COINWATCH_TEST_DOCKER_WITHOUT leaves services out, and image
variables (PYTHON_IMAGE, POSTGRES_IMAGE, ...) are passed on, for machines without access to a registry.
"""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.docker.compose_file import PROJECT

NAME = "coinwatch-test"
CYCLE_SECONDS = 15
pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class DockerStack:
    """A running stack; ``environment`` has its settings, ``output`` is that of the first start."""

    environment: dict[str, str]
    folder: Path
    output: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(PROJECT / "docker_run.sh"), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=900, check=False)

    def get(self, port: str, path: str) -> Any:
        url = f"http://127.0.0.1:{self.environment[f'COINWATCH_{port}_PORT']}{path}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.loads(response.read())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, free_ports: dict[str, str]) -> Iterator[DockerStack]:
    if os.environ.get("COINWATCH_TEST_DOCKER") != "1":
        pytest.skip("takes minutes to build images and start containers: set COINWATCH_TEST_DOCKER=1 to run it")
    if docker("version").returncode:
        pytest.skip("Docker is not available")
    folder = tmp_path_factory.mktemp("docker") / "my coins (50%) #1"
    environment = {
        **os.environ,
        **free_ports,
        "COINWATCH_DOCKER_PROJECT": NAME,
        "COINWATCH_DOCKER_WITHOUT": os.environ.get("COINWATCH_TEST_DOCKER_WITHOUT", ""),
        "COINWATCH_COLLECT_SCHEDULE_MINUTES": str(CYCLE_SECONDS / 60),
    }
    folder.mkdir()
    stack = DockerStack(environment, folder, "")
    try:
        started = stack.run("start", str(folder))
        assert started.returncode == 0, started.stdout + started.stderr
        yield DockerStack(environment, folder, started.stdout)
    finally:
        stack.run("reset", "--yes")


def test_first_start_prints_addresses_and_password(stack: DockerStack) -> None:
    for port in ("AIRFLOW", "WEB", "MAIL_CATCHER", "GRAPHITE"):
        assert f":{stack.environment[f'COINWATCH_{port}_PORT']}" in stack.output
    assert f"admin / {secret(stack, 'COINWATCH_AIRFLOW_ADMIN_PASSWORD')}" in stack.output
    assert "enabled  coinnews" in stack.output


def test_every_service_is_ready(stack: DockerStack) -> None:
    status = stack.run("status")
    assert status.returncode == 0, status.stdout
    assert "not healthy" not in status.stdout


def test_prices_are_collected_on_schedule_and_sent_to_graphite(stack: DockerStack) -> None:
    first = eventually(lambda: newest_bitcoin(stack))
    eventually(lambda: newest_bitcoin(stack) != first)
    target = "stats.gauges.coinwatch.prices.coinnews.btc.usd.price"
    points = eventually(lambda: known_points(stack.get("GRAPHITE", f"/render?target={target}&from=-10min&format=json")))
    assert all(value > 0 for value in points)
    scheduler = "stats_counts.airflow.scheduler_heartbeat"  # over UDP, the only protocol of Airflow's client
    assert eventually(lambda: known_points(stack.get("GRAPHITE", f"/render?target={scheduler}&format=json")))


def test_subscription_from_the_command_line_triggers_an_email(stack: DockerStack) -> None:
    rule = ("BTC", "0.01", "--kind", "change_since_last", "--cooldown", "0")
    made = stack.run("coinwatch", "subscribe", "reader@example.org", *rule, "--json")
    assert made.returncode == 0, made.stderr
    emails = eventually(lambda: stack.get("MAIL_CATCHER", "/api/v1/messages")["messages"])
    assert emails[0]["To"][0]["Address"] == "reader@example.org"
    assert "BTC" in emails[0]["Subject"]
    lines = (stack.folder / "data" / "coinwatch" / "alerts.txt").read_text()
    assert "BTC/USD index" in lines


def test_containers_cannot_modify_their_code(stack: DockerStack) -> None:
    assert inside("web", "id", "-u").stdout.strip() == "50000"
    assert inside("web", "touch", "/opt/coinwatch/x").returncode
    assert inside("airflow-scheduler", "touch", "/opt/coinwatch/x").returncode


def test_graphite_has_no_default_credentials(stack: DockerStack) -> None:
    count = "import sqlite3; print(*sqlite3.connect('/opt/graphite/storage/graphite.db').execute("
    count += "\"SELECT count(*) FROM auth_user WHERE username = 'root'\").fetchone())"
    assert inside("graphite", "python3", "-c", count).stdout.strip() == "0"


def test_cycles_continue_after_a_postgres_crash(stack: DockerStack) -> None:
    before = restarts("postgres")
    inside("postgres", "sh", "-c", "kill -QUIT 1")  # a crash, not a stop by the engine
    eventually(lambda: restarts("postgres") > before and stack.run("status").returncode == 0)
    then = newest_bitcoin(stack)
    eventually(lambda: newest_bitcoin(stack) != then)


def test_data_survives_a_restart(stack: DockerStack) -> None:
    prices = stack.get("WEB", "/api/v1/history/BTC")["points"]
    assert stack.run("stop").returncode == 0
    assert not docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={NAME}").stdout
    assert stack.run("status").stdout.startswith("Nothing is running.")
    started = stack.run("start", str(stack.folder))
    assert started.returncode == 0, started.stdout + started.stderr
    assert secret(stack, "COINWATCH_AIRFLOW_ADMIN_PASSWORD") not in started.stdout
    assert "reader@example.org" in stack.run("coinwatch", "subscriptions", "--json").stdout
    assert stack.get("WEB", "/api/v1/history/BTC")["points"][0] == prices[0]


def test_backup_restores_everything_while_the_stack_runs(stack: DockerStack) -> None:
    file = stack.folder / "my backup"
    done = stack.run("backup", str(file))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert stack.run("coinwatch", "subscribe", "later@example.org", "BTC", "5").returncode == 0
    broken = stack.folder / "broken"
    broken.write_bytes(file.read_bytes()[:2000])
    assert "cannot be restored" in stack.run("restore", str(broken), "--yes").stderr
    assert "later@example.org" in stack.run("coinwatch", "subscriptions", "--json").stdout
    done = stack.run("restore", str(file), "--yes")
    assert done.returncode == 0, done.stderr
    assert "later@example.org" not in stack.run("coinwatch", "subscriptions", "--json").stdout
    assert "reader@example.org" in stack.run("coinwatch", "subscriptions", "--json").stdout
    then = newest_bitcoin(stack)
    eventually(lambda: newest_bitcoin(stack) != then)


def test_changed_superuser_password_is_explained_and_everything_stops(stack: DockerStack) -> None:
    assert stack.run("stop").returncode == 0
    changed = {**stack.environment, "COINWATCH_POSTGRES_PASSWORD": "quite-another-value"}
    failed = DockerStack(changed, stack.folder, "").run("start", str(stack.folder))
    assert failed.returncode == 1
    assert "differs from the password the database was created with" in failed.stderr
    assert failed.stderr.rstrip().endswith("Nothing is left running.")
    assert not docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={NAME}").stdout


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "")


def inside(service: str, *command: str) -> subprocess.CompletedProcess[str]:
    return docker("exec", f"{NAME}-{service}-1", *command)


def restarts(service: str) -> int:
    return int(docker("inspect", "--format", "{{.RestartCount}}", f"{NAME}-{service}-1").stdout)


def secret(stack: DockerStack, name: str) -> str:
    lines = (stack.folder / ".env").read_text().splitlines()
    return next(line.split("=", 1)[1] for line in lines if line.startswith(f"{name}="))


def newest_bitcoin(stack: DockerStack) -> Any:
    """None before the first cycle is finished."""
    prices = stack.get("WEB", "/api/v1/prices/BTC?exchange=coinnews")
    return prices[0]["observed_at"] if prices else None


def known_points(series: Any) -> list[float]:
    return [value for one in series for value, _ in one["datapoints"] if value is not None]


def eventually(look: Callable[[], Any], seconds: float = 180) -> Any:
    """The first truthy result of ``look``; connection errors are retried."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except OSError:
            if time.monotonic() > deadline:
                raise
        else:
            if found or time.monotonic() > deadline:
                assert found
                return found
        time.sleep(1)
