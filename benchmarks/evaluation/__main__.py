"""Evaluating up to a million subscriptions, compared with sequential scans: ``python -m benchmarks.evaluation``.

10,000, 100,000 and 1,000,000 active subscriptions on 1,000 instruments; every minute a new quote of each, and every
second minute 1,000 alerts, whatever the number of subscriptions. Ours is ``store_alerts``, as the pipeline calls it:

  lookup    from the changes to the subscriptions they concern: find_candidates, find_crossed_levels,
            rearm_subscriptions
  finding   everything before an alert is written: copying the quotes, selecting the rules in use, finding the
            changes, the lookup; each including its round trip to the server
  all       the whole call: alerts, cooldowns, emails in the outbox and watermarks, committed
  hourly    what the first run of an hour takes longer: the highs and lows of the periods in use, from candles
  idle      the whole call in the minutes in which nothing fires and subscriptions are rearmed

The scans run in one process with warm caches, in turns with ours: the table read once (count), and each subscription
compared with its instrument's change, which the scan gets precomputed (compare).
"""

import argparse
from collections.abc import Sequence

import structlog

from benchmarks.evaluation.measuring import Measured, measure
from benchmarks.evaluation.subscribers import FIRING, PARTITIONS, SCENARIOS, fill
from benchmarks.shared.market import INSTRUMENTS
from benchmarks.shared.postgres import benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say, show
from tests.support.postgres import PostgresServer

GOAL, FLAT = 0.05, 1.3
MANY = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="multiples of 10,000"
    )
    parser.add_argument("--rounds", type=int, default=9, help="measured rounds that fire, and as many that do not")
    parser.add_argument("--rules", nargs="+", choices=SCENARIOS, default=SCENARIOS, help="scenarios to run")
    parser.add_argument("--small", action="store_true", help="10,000 subscriptions, 2 rounds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.sizes, arguments.rounds = [10_000], 2
    if any(size % 10_000 or not size for size in arguments.sizes):
        parser.error("sizes are multiples of 10,000")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with benchmark_server() as server:
        show(run(server, arguments.rules, sorted(arguments.sizes), arguments.rounds), as_json=arguments.json)


def run(server: PostgresServer, scenarios: Sequence[str], sizes: Sequence[int], rounds: int) -> Report:
    rows: list[Row] = []
    goals: list[Goal] = []
    details: dict[str, object] = {}
    planning: dict[str, float] = {}
    for scenario in scenarios:
        measured: dict[int, Measured] = {}
        for size in sizes:
            say(f"{scenario}, {size:,} subscriptions")
            database = make_database(server, "evaluation")
            fill(database, scenario, size)
            measured[size] = measure(database, rounds)
            rows.append(row_of(scenario, size, measured))
            details[f"{scenario}, {size}"] = vars(measured[size])
        goals += goals_of(scenario, sizes, measured)
        planning = measured[sizes[-1]].planning
    plans = ", ".join(f"{name.removeprefix('alerts/evaluation/')} {spent:.1f}" for name, spent in planning.items())
    return Report(
        "evaluation",
        f"{INSTRUMENTS:,} new quotes evaluated, {FIRING:,} alerts and emails; medians of {rounds} rounds, in ms",
        rows,
        goals,
        [
            "scans: one process, without indexes, warm; compare gets the changes precomputed, finding computes them",
            f"ours includes planning; of the statements that read prices, with {PARTITIONS} partitions, in ms: {plans}",
        ],
        details,
    )


def row_of(scenario: str, size: int, measured: dict[int, Measured]) -> Row:
    here, smallest = measured[size], next(iter(measured.values()))
    ms = {name: here.median_ms(name) for name in ("lookup", "finding", "whole", "idle", "count", "compare")}
    return {
        "rules": scenario,
        "subscriptions": size,
        "lookup": ms["lookup"],
        "finding": ms["finding"],
        "all": ms["whole"],
        "idle": ms["idle"],
        "hourly": 1000 * here.first,
        "count": ms["count"],
        "compare": ms["compare"],
        "lookup/compare": ms["lookup"] / ms["compare"],
        "finding/compare": ms["finding"] / ms["compare"],
        "finding/count": ms["finding"] / ms["count"],
        "finding vs. smallest": ms["finding"] / smallest.median_ms("finding"),
        "all vs. smallest": ms["whole"] / smallest.median_ms("whole"),
    }


def goals_of(scenario: str, sizes: Sequence[int], measured: dict[int, Measured]) -> list[Goal]:
    """Goals for a million subscriptions only; with few, a scan is fast."""
    smallest, largest = measured[sizes[0]], measured[sizes[-1]]
    if sizes[-1] < MANY:
        return []
    scan = largest.median_ms("compare")
    return [
        _goal(
            f"{scenario}: finding takes at most {GOAL:.0%} of the scan that compares",
            largest.median_ms("finding") / scan,
            GOAL,
        ),
        _goal(f"{scenario}: the lookup takes at most {GOAL:.0%} of it", largest.median_ms("lookup") / scan, GOAL),
        _goal(
            f"{scenario}: finding from {sizes[0]:,} to {sizes[-1]:,} takes at most {FLAT} times as long",
            largest.median_ms("finding") / smallest.median_ms("finding"),
            FLAT,
        ),
    ]


def _goal(text: str, ratio: float, most: float) -> Goal:
    return Goal(text, ratio, ratio <= most)


if __name__ == "__main__":
    main()
