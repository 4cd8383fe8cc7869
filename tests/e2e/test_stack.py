"""The story of the first hour: it starts, prices flow, alerts arrive, parts die and come back, nothing is lost.

The tests run in this order on one stack.
"""

import itertools
import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import CANDLES_PER_MINUTE, candle_close
from tests.support.graphite import GraphiteServer
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(900)

THRESHOLD = 0.5
ADDRESS = "ada@example.org"
PARTS = {
    "postgres", "carbon", "graphite", "statsd", "mail", "coinnews", "web",
    "airflow-api-server", "airflow-scheduler", "airflow-dag-processor",
}  # fmt: skip


def prices(stack: Stack) -> list[dict[str, Any]]:
    """All BTC prices from the replayed market, oldest first."""
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


def mails(stack: Stack) -> list[dict[str, Any]]:
    """What the catcher has for our subscriber."""
    return [mail for mail in stack.mails() if mail["to"][0]["address"] == ADDRESS]


def implied_alerts(stack: Stack, since: datetime) -> list[datetime]:
    """Moments at which the price had moved by the threshold since the one recorded before."""
    recorded = prices(stack)
    return [
        new["observed_at"]
        for old, new in itertools.pairwise(recorded)
        if new["observed_at"] > since and abs(new["price"] - old["price"]) / old["price"] * 100 >= THRESHOLD
    ]


def mailed_alerts(stack: Stack) -> list[datetime]:
    """The moment of every alert in every mail, to the second, as the mails tell it."""
    return sorted(
        datetime.strptime(line.split("USD, ", 1)[1].strip(), "%d %b %Y, %H:%M:%S UTC").replace(tzinfo=UTC)
        for mail in mails(stack)
        for line in mail["text"].splitlines()
        if line.strip().startswith("Now")
    )


@pytest.fixture(scope="module")
def subscribed_at(stack: Stack) -> datetime:
    made = json.loads(stack.coinwatch("subscribe", ADDRESS, "BTC", str(THRESHOLD), "--exchange", "coinnews", "--json"))
    assert made["status"] == "active"
    return datetime.fromisoformat(made["created_at"])


def test_every_part_is_ready(stack: Stack) -> None:
    status = stack.status()
    assert status["state"] == "ready"
    assert set(status["services"]) == PARTS
    assert {part["state"] for part in status["services"].values()} == {"ready"}


def test_airflows_own_commands_know_the_stack(stack: Stack) -> None:
    month = ["--from-date", "2022-01-01", "--to-date", "2022-02-01"]
    done = stack.run("airflow", "backfill", "create", "--dag-id", "backfill_candles", *month, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2022-01-") >= 4 * 31, "a run for every six hours"


def test_secrets_are_in_a_file_for_the_owner_only_and_in_no_process_list(stack: Stack) -> None:
    assert (stack.home / ".env").stat().st_mode & 0o777 == 0o600
    secrets = [value for name, value in stack.secrets.items() if "PASSWORD" in name or "KEY" in name or "TOKEN" in name]
    assert len(secrets) >= 6
    assert min(len(secret) for secret in secrets) >= 16
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    for secret in secrets:
        assert not any(secret.encode() in command for command in commands)


def test_the_dag_runs_by_its_schedule_and_the_prices_are_those_of_the_file(
    stack: Stack, subscribed_at: datetime
) -> None:
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


def test_exactly_the_implied_alerts_are_mailed(stack: Stack, subscribed_at: datetime) -> None:
    stack.wait("an alert", lambda: alerts(stack))
    stack.wait_for_cycles(1, datetime.now(UTC))
    check_alerts(stack, subscribed_at)
    [first, *_] = mails(stack)
    assert first["subject"].startswith("BTC ")
    assert "coinnews" in first["subject"]
    assert first["to"][0]["address"] == ADDRESS
    assert "/unsubscribe/" in first["headers"]["list-unsubscribe"]


def check_alerts(stack: Stack, since: datetime) -> None:
    """The alerts are those the prices imply; each is in exactly one mail; no mail came twice."""

    def equal() -> bool:
        fired = alerts(stack)
        return fired == implied_alerts(stack, since) and len(mailed_alerts(stack)) == len(fired)

    stack.wait("alerts and mails to agree with the prices", equal, seconds=60)
    told = mailed_alerts(stack)
    assert told == sorted(moment.replace(microsecond=0) for moment in alerts(stack))
    ids = [mail["headers"]["message-id"] for mail in mails(stack)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("part", ["postgres", "statsd", "mail", "airflow-scheduler"])
def test_a_killed_part_comes_back_and_nothing_is_lost_or_doubled(
    stack: Stack, subscribed_at: datetime, part: str
) -> None:
    before = stack.status()["services"][part]["pid"]
    os.kill(before, signal.SIGKILL)
    killed = time.monotonic()

    def back() -> bool:
        found = stack.status()
        return bool(found["state"] == "ready" and found["services"][part]["pid"] != before)

    stack.wait(f"{part} to come back", back, seconds=120)
    print(f"{part} was back after {time.monotonic() - killed:.1f} s")
    back_at = datetime.now(UTC)
    runs = [run for run in stack.wait_for_cycles(3, back_at) if run["run_type"] == "scheduled"]
    assert {run["state"] for run in runs} == {"success"}
    received = [row["received_at"] for row in prices(stack)]
    for run in runs:
        begin, end = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
        assert any(begin <= moment <= end for moment in received), f"no price in the cycle from {begin} to {end}"
    check_alerts(stack, subscribed_at)


def test_stop_leaves_no_process_and_start_brings_everything_back(stack: Stack, subscribed_at: datetime) -> None:
    kept = [(row["observed_at"], row["price"]) for row in prices(stack)]
    told = mailed_alerts(stack)
    done = stack.run("stop")
    assert done.returncode == 0, done.stderr
    assert processes_of(stack) == []
    began = time.monotonic()
    stack.start()
    print(f"the second start took {time.monotonic() - began:.1f} s")
    assert [(row["observed_at"], row["price"]) for row in prices(stack)][: len(kept)] == kept
    assert mailed_alerts(stack)[: len(told)] == told
    stack.wait_for_cycles(1, datetime.now(UTC))
    check_alerts(stack, subscribed_at)


def processes_of(stack: Stack) -> list[str]:
    """Command lines of processes that carry the stack's folder in their environment."""
    marker, found = str(stack.home).encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name != str(os.getpid()) and marker in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
