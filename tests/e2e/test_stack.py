"""The first hour of a stack: it starts, collects prices and sends alerts; services crash and restart; nothing is lost.

The tests run in this order on one stack.
"""

import itertools
import json
import os
import re
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.environment_file import SECRETS
from tests.e2e.conftest import CANDLES_PER_MINUTE, candle_close
from tests.support.graphite import GraphiteServer
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(900)

THRESHOLD = 0.5
ADDRESS = "ada@example.org"
# The first row of an alert's table ends with the time of its price.
ALERT_TIME = re.compile(r"\n\n  .*, (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\n")
EDITED_CONNECTION = {"connection_id": "coinwatch", "conn_type": "postgres", "description": "edited"}
SERVICES = {
    "postgres", "carbon", "graphite", "statsd", "mail", "coinnews", "web",
    "airflow-api-server", "airflow-scheduler", "airflow-dag-processor",
}  # fmt: skip


def prices(stack: Stack) -> list[dict[str, Any]]:
    """All BTC prices of the replayed market, oldest first."""
    return stack.rows(
        "SELECT observed_at, received_at, price FROM price_history "
        "WHERE exchange = 'coinnews' AND pair = 'BTC/USD' ORDER BY observed_at"
    )


def alerts(stack: Stack) -> list[datetime]:
    query = (
        "SELECT a.observed_at FROM alerts a JOIN subscriptions s ON s.id = a.subscription_id "
        "JOIN users u ON u.id = s.user_id WHERE u.email = %(address)s ORDER BY a.observed_at"
    )
    return [row["observed_at"] for row in stack.rows(query, address=ADDRESS)]


def emails(stack: Stack) -> list[dict[str, Any]]:
    """The emails to our subscriber in the mail catcher."""
    return [email for email in stack.emails() if email["to"][0]["address"] == ADDRESS]


def implied_alerts(stack: Stack, since: datetime) -> list[datetime]:
    """Times of prices that differ from the previously recorded price by at least the threshold."""
    recorded = prices(stack)
    return [
        new["observed_at"]
        for old, new in itertools.pairwise(recorded)
        if new["observed_at"] > since and abs(new["price"] - old["price"]) / old["price"] * 100 >= THRESHOLD
    ]


def emailed_alerts(stack: Stack) -> list[datetime]:
    """The time of every alert in every email, in seconds."""
    texts = ("\n".join(email["text"].splitlines()) for email in emails(stack))
    return sorted(datetime.fromisoformat(f"{time}Z") for text in texts for time in ALERT_TIME.findall(text))


@pytest.fixture(scope="module")
def subscribed_at(stack: Stack) -> datetime:
    created = json.loads(
        stack.coinwatch(
            *("subscribe", ADDRESS, "BTC", str(THRESHOLD), "--kind", "change_since_last", "--cooldown", "0"),
            *("--exchange", "coinnews", "--json"),
        )
    )
    assert created["status"] == "active"
    return datetime.fromisoformat(created["created_at"])


def test_every_service_is_ready(stack: Stack) -> None:
    status = stack.status()
    assert status["state"] == "ready"
    assert set(status["services"]) == SERVICES
    assert {service["state"] for service in status["services"].values()} == {"ready"}


def test_no_process_can_read_secrets_it_does_not_need(stack: Stack) -> None:
    """As with containers: what a process gets is in its environment, which /proc shows."""
    holders: dict[str, set[str]] = {}
    environments = [environment_of(process) for process in Path("/proc").glob("[0-9]*")]
    for environment in environments:
        if environment.get("COINWATCH_STACK") == str(stack.home):
            for name, value in stack.secrets.items():
                if value and any(value in text for text in environment.values()):
                    holders.setdefault(name, set()).add(environment.get("COINWATCH_SERVICE", "supervisor"))
    airflow = {"airflow-api-server", "airflow-scheduler", "airflow-dag-processor"}
    everything = {name: holders.get(name, set()) for name in stack.secrets if name in SECRETS}
    assert everything == {
        "COINWATCH_SECRET_KEY": airflow - {"airflow-dag-processor"} | {"web"},
        "COINWATCH_API_TOKEN": {"web"},
        "COINWATCH_POSTGRES_PASSWORD": set(),
        "COINWATCH_DATABASE_OWNER_PASSWORD": set(),
        "COINWATCH_DATABASE_APP_PASSWORD": airflow - {"airflow-dag-processor"} | {"web"},
        "COINWATCH_DATABASE_READER_PASSWORD": set(),
        "COINWATCH_AIRFLOW_DATABASE_PASSWORD": airflow,
        "COINWATCH_AIRFLOW_ADMIN_PASSWORD": set(),
        "COINWATCH_GRAFANA_ADMIN_PASSWORD": set(),
        "COINWATCH_GRAFANA_SECRET_KEY": set(),
        "COINWATCH_GRAPHITE_SECRET_KEY": {"carbon", "graphite"},
        "AIRFLOW__CORE__FERNET_KEY": airflow,
        "AIRFLOW__API__SECRET_KEY": airflow,
        "AIRFLOW__API_AUTH__JWT_SECRET": airflow,
    }


def environment_of(process: Path) -> dict[str, str]:
    try:
        pairs = (process / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it has ended, or belongs to another user
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_every_component_on_the_home_page_of_airflow_is_healthy(stack: Stack) -> None:
    report = stack.get(f"{stack.airflow_url}/api/v2/monitor/health")
    assert {name: component["status"] for name, component in report.items()} == dict.fromkeys(
        ("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy"
    )


def test_airflow_commands_use_the_settings_of_the_stack(stack: Stack) -> None:
    month = ["--from-date", "2022-01-01", "--to-date", "2022-02-01"]
    done = stack.run("airflow", "backfill", "create", "--dag-id", "backfill_candles", *month, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2022-01-") >= 4 * 31, "a run for every six hours"


def test_airflow_connection_is_listed_and_works(stack: Stack) -> None:
    """Operators see it under Admin > Connections, and can test it there."""
    connection = stack.airflow("connections/coinwatch")
    assert (connection["conn_type"], connection["login"]) == ("postgres", "coinwatch_app")
    assert (connection["port"], connection["schema"]) == (stack.ports["POSTGRES"], "coinwatch")
    fields = {name: connection[name] for name in ("connection_id", "conn_type", "host", "port", "login", "schema")}
    tested = stack.airflow("connections/test", {**fields, "password": stack.secrets["COINWATCH_DATABASE_APP_PASSWORD"]})
    assert tested["status"] is True, tested["message"]
    listed = stack.run("airflow", "connections", "get", "coinwatch", "--output", "json")
    assert json.loads(listed.stdout)[0]["schema"] == "coinwatch"


def test_secrets_are_private_and_absent_from_process_lists(stack: Stack) -> None:
    assert (stack.home / ".env").stat().st_mode & 0o777 == 0o600
    secrets = [value for name, value in stack.secrets.items() if "PASSWORD" in name or "KEY" in name or "TOKEN" in name]
    assert len(secrets) >= 6
    assert min(len(secret) for secret in secrets) >= 16
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process may have ended
            commands.append(path.read_bytes())
    for secret in secrets:
        assert not any(secret.encode() in command for command in commands)


def test_scheduled_dag_stores_the_replayed_prices(stack: Stack, subscribed_at: datetime) -> None:
    stack.wait_for_cycles(3, subscribed_at)
    replay = stack.get(f"http://127.0.0.1:{stack.ports['COINNEWS']}/api/replay")
    start = datetime.fromisoformat(replay["started_at"])
    recorded = prices(stack)
    assert len(recorded) >= 3
    for row in recorded:
        candle = (row["observed_at"] - start) / timedelta(minutes=1) * CANDLES_PER_MINUTE
        assert candle == pytest.approx(round(candle), abs=1e-3)
        assert row["price"] == candle_close(round(candle))


def test_graphite_renders_the_same_prices(stack: Stack) -> None:
    graphite = GraphiteServer(
        f"http://127.0.0.1:{stack.ports['GRAPHITE']}", stack.ports["STATSD"], stack.ports["CARBON"]
    )
    target = "stats.gauges.coinwatch.prices.coinnews.btc.usd.price"
    graphite.wait_for(target)
    known = {row["price"] for row in prices(stack)}
    rendered = set(graphite.values(target)[target])
    assert rendered
    assert rendered <= known | {row["price"] for row in prices(stack)}


def test_replayed_prices_trigger_exactly_the_expected_emails(stack: Stack, subscribed_at: datetime) -> None:
    stack.wait("an alert", lambda: alerts(stack))
    stack.wait_for_cycles(1, datetime.now(UTC))
    check_alerts(stack, subscribed_at)
    [first, *_] = emails(stack)
    assert first["subject"].startswith("Demo prices: BTC ")
    assert "coinnews" in first["subject"]
    assert first["to"][0]["address"] == ADDRESS
    assert "/unsubscribe/" in first["headers"]["list-unsubscribe"]


def check_alerts(stack: Stack, since: datetime) -> None:
    """Alerts are those implied by the prices; each is in exactly one email; no email is duplicated."""

    def equal() -> bool:
        fired = alerts(stack)
        return fired == implied_alerts(stack, since) and len(emailed_alerts(stack)) == len(fired)

    stack.wait("alerts and emails to match the prices", equal, seconds=60)
    assert emailed_alerts(stack) == sorted(moment.replace(microsecond=0) for moment in alerts(stack))
    ids = [email["headers"]["message-id"] for email in emails(stack)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("service", ["postgres", "statsd", "mail", "airflow-scheduler"])
def test_killed_service_is_restarted_and_nothing_is_lost_or_duplicated(
    stack: Stack, subscribed_at: datetime, service: str
) -> None:
    before = stack.status()["services"][service]["pid"]
    os.kill(before, signal.SIGKILL)
    killed = time.monotonic()

    def is_restarted() -> bool:
        found = stack.status()
        return bool(found["state"] == "ready" and found["services"][service]["pid"] != before)

    stack.wait(f"{service} to restart", is_restarted, seconds=120)
    print(f"{service} was ready again after {time.monotonic() - killed:.1f} s")
    ready_at = datetime.now(UTC)
    runs = [run for run in stack.wait_for_cycles(3, ready_at) if run["run_type"] == "scheduled"]
    assert {run["state"] for run in runs} == {"success"}
    received = [row["received_at"] for row in prices(stack)]
    for run in runs:
        begin, end = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
        assert any(begin <= moment <= end for moment in received), f"no price in the cycle from {begin} to {end}"
    check_alerts(stack, subscribed_at)


def test_stop_leaves_no_process_and_restart_loses_nothing(stack: Stack, subscribed_at: datetime) -> None:
    before = [(row["observed_at"], row["price"]) for row in prices(stack)]
    emailed = emailed_alerts(stack)
    stack.airflow("connections/coinwatch?update_mask=description", EDITED_CONNECTION, method="PATCH")
    done = stack.run("stop")
    assert done.returncode == 0, done.stderr
    assert processes_of(stack) == []
    began = time.monotonic()
    stack.start()
    assert stack.airflow("connections/coinwatch")["description"] == "edited", "edits must survive a restart"
    print(f"restarting took {time.monotonic() - began:.1f} s")
    assert [(row["observed_at"], row["price"]) for row in prices(stack)][: len(before)] == before
    assert emailed_alerts(stack)[: len(emailed)] == emailed
    stack.wait_for_cycles(1, datetime.now(UTC))
    check_alerts(stack, subscribed_at)


def processes_of(stack: Stack) -> list[str]:
    """Command lines of processes with the stack's folder in their environment."""
    marker, found = str(stack.home).encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name != str(os.getpid()) and marker in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_backup_restores_everything_while_the_stack_runs(stack: Stack, subscribed_at: datetime) -> None:
    """The last test: it goes back in time."""
    stack.wait("a price", lambda: prices(stack))
    file = stack.home / "my backup"
    before = [(row["observed_at"], row["price"]) for row in prices(stack)]
    done = stack.run("backup", str(file))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert "exists" in stack.run("backup", str(file)).stderr
    stack.coinwatch("subscribe", "bob@example.org", "BTC", "5")

    broken = stack.home / "broken"
    broken.write_bytes(file.read_bytes()[:2000])
    failed = stack.run("restore", str(broken), "--yes").stderr
    assert "pg_restore failed" in failed
    assert "Nothing was changed." in failed
    assert "To confirm" in stack.run("restore", str(file)).stderr
    assert "bob@example.org" in stack.coinwatch("subscriptions"), "nothing has changed yet"

    done = stack.run("restore", str(file), "--yes")
    assert done.returncode == 0, done.stderr
    assert "bob@example.org" not in stack.coinwatch("subscriptions")
    assert ADDRESS in stack.coinwatch("subscriptions")
    assert [(row["observed_at"], row["price"]) for row in prices(stack)][: len(before)] == before
    stack.wait("a price after the restore", lambda: len(prices(stack)) > len(before))
    names = {row["datname"] for row in stack.rows("SELECT datname FROM pg_database")}
    assert {name for name in names if name.startswith("coinwatch")} == {"coinwatch"}
