"""A complete cycle as a DAG run, compared with a DAG of empty tasks: ``python -m benchmarks.cycle``.

coinwatch: 5 exchanges with 200 instruments each, 10,000 subscriptions of which 100 fire, 100 emails. The lower bound:
the same tasks doing nothing. Both run alternately on one stack; the result is the duration of the DAG run.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from datetime import datetime
from typing import Any

from benchmarks.cycle.market import EXCHANGES, FIRING, INSTRUMENTS, add_subscriptions, move_prices, write_configuration
from benchmarks.sink import smtp_sink
from tests.exchange_server import ExchangeServer
from tests.support.stack import PROJECT, Stack, make_home, running_stack

OURS, LIMIT = "collect_prices", "empty_cycle"
GOAL = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="measured runs of each DAG")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    home = make_home()
    shutil.copytree(PROJECT / "benchmarks" / "cycle" / "dags", home / "dags")
    for name in ("collect_prices.py", "coinwatch_engine.py", ".airflowignore"):
        shutil.copy(PROJECT / "dags" / name, home / "dags")
    with ExchangeServer() as exchange_server, smtp_sink() as sink:
        write_configuration(home / "coinwatch.toml", exchange_server)
        settings = {
            "COINWATCH_CONFIG": str(home / "coinwatch.toml"),
            "COINWATCH_SMTP_URL": sink.url,
            "COINWATCH_COLLECT_SCHEDULE_MINUTES": "1440",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            # The stack uses its own coinnews server; here, the exchange server replaces it.
            "COINWATCH_EXCHANGES__COINNEWS__BASE_URL": exchange_server.base_url("coinnews"),
        }
        with running_stack(home, settings) as stack:
            figures = measure(stack, exchange_server, arguments.rounds)
        figures["emails"] = sink.messages
    show(figures, as_json=arguments.json)
    expected = FIRING * (arguments.rounds + 1)
    if (figures["alerts"], figures["emails"]) != (expected, expected):
        sys.exit(f"Each cycle after the first should send {FIRING} alerts and emails: {expected} in total.")


def measure(stack: Stack, exchange_server: ExchangeServer, rounds: int) -> dict[str, Any]:
    """Durations of both DAGs' runs in seconds, without one warm-up run each."""
    durations: dict[str, list[float]] = {OURS: [], LIMIT: []}
    tasks: dict[str, list[float]] = {}
    for number in range(rounds + 2):
        move_prices(exchange_server, number % 2)
        for dag in (OURS, LIMIT):
            run = run_dag(stack, dag)
            if number > 1:
                durations[dag].append(run["duration"])
                for task in stack.airflow(f"dags/{dag}/dagRuns/{run['dag_run_id']}/taskInstances")["task_instances"]:
                    tasks.setdefault(f"{dag}.{task['task_id']}", []).append(task["duration"] or 0)
        if number == 0:
            add_subscriptions(stack)
        print(f"round {number}: {[round(values[-1], 2) for values in durations.values() if values]}", file=sys.stderr)
    alerts = stack.rows("SELECT count(*) AS alerts FROM alerts")[0]["alerts"]
    prices = stack.rows("SELECT count(*) AS prices FROM prices")[0]["prices"]
    return {
        "seconds": durations,
        "tasks": {name: round(statistics.median(values), 3) for name, values in tasks.items()},
        "alerts": alerts,
        "prices": prices,
    }


def run_dag(stack: Stack, dag: str) -> dict[str, Any]:
    """Trigger a run and wait until it ends; returns the run with its ``duration`` in seconds."""
    stack.wait(f"the DAG {dag}", lambda: stack.airflow(f"dags/{dag}"))
    created = stack.airflow(f"dags/{dag}/dagRuns", {"logical_date": None})
    path = f"dags/{dag}/dagRuns/{created['dag_run_id']}"
    while not (run := stack.airflow(path))["end_date"]:
        time.sleep(0.5)
    if run["state"] != "success":
        raise SystemExit(f"{dag} ended as {run['state']}; see the logs in {stack.home / 'airflow' / 'logs'}")
    begin, end = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
    run["duration"] = (end - begin).total_seconds()
    return dict(run)


def show(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    ours, limit = (statistics.median(figures["seconds"][dag]) for dag in (OURS, LIMIT))
    print(f"\n{len(EXCHANGES)} exchanges with {INSTRUMENTS} instruments each; {FIRING} of 10,000 subscriptions fire")
    print(f"{'DAG run':<16}{'median s':>10}{'fastest':>10}{'slowest':>10}{'ratio':>8}")
    for dag in (OURS, LIMIT):
        values = figures["seconds"][dag]
        median = statistics.median(values)
        print(f"{dag:<16}{median:>10.2f}{min(values):>10.2f}{max(values):>10.2f}{median / limit:>8.2f}")
    print(f"goal: at most {GOAL} times the empty DAG; measured {ours / limit:.2f}")
    print("median seconds of the tasks: " + ", ".join(f"{name} {value}" for name, value in figures["tasks"].items()))
    print(f"alerts {figures['alerts']}, emails {figures['emails']}")
    print(f"prices stored {figures['prices']}")


if __name__ == "__main__":
    main()
