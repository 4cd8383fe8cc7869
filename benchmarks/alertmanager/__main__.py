"""From a new price to the email, compared with Prometheus and Alertmanager: ``python -m benchmarks.alertmanager``.

10,000 rules "the price reaches this level" on 1,000 instruments, of which 1 or 100 fire, one email each, into the same
SMTP sink, in turns. Ours: load_quotes of 1,000 new quotes, store_alerts and deliver_emails, one after the other.
Theirs: Debian's Prometheus scrapes the same 1,000 prices from a web page and evaluates the rules, both every second,
and Alertmanager sends emails immediately (group_wait 0s). Prices change at a random time within the second.

The two work differently by design. Prometheus scrapes and evaluates every second, so its latency includes on average
half a second of waiting for the scrape and half a second for the evaluation. Ours is called when prices arrive; how
often that is depends on the pipeline's schedule (minutes). Therefore the time for evaluating the rules is shown next to
that of our store_alerts, and so is the CPU time of a cycle in which nothing fires.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import structlog

from benchmarks.alertmanager.cpu_time import cpu_seconds
from benchmarks.alertmanager.gauges import Gauges, shown_gauges
from benchmarks.alertmanager.ours import Cycle, Ours
from benchmarks.alertmanager.programs import Alertmanager, Prometheus
from benchmarks.shared.market import INSTRUMENTS
from benchmarks.shared.postgres import benchmark_server, make_database
from benchmarks.shared.program import Missing
from benchmarks.shared.report import Report, Row, say, show
from benchmarks.sink import Sink, smtp_sink

OURS, THEIRS = "coinwatch", "Prometheus and Alertmanager"
TIMEOUT_SECONDS = 60
NOTES = """
first and last email: median seconds from the new prices (passed to load_quotes; shown on the page) to their acceptance
slowest: the slowest last email; each of our emails has the chart of its instrument, theirs have none
evaluation: ours is store_alerts with alerts and emails committed; theirs all rules, without Alertmanager (the sum of
prometheus_rule_group_last_duration_seconds of all groups); both without waiting
CPU: user and system time of all processes in a cycle in which nothing fires; a cycle of theirs is one second
""".strip().splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=10_000, help="at least 1,000")
    parser.add_argument("--firing", type=int, nargs="+", default=[1, 100], help="rules that fire in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--idle-seconds", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="1,000 rules, 2 rounds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if arguments.small:
        arguments.rules, arguments.rounds, arguments.idle_seconds = 1_000, 2, 5
    if sum(arguments.firing) * (arguments.rounds + 1) > INSTRUMENTS:
        parser.error(f"each alert needs its own instrument, and there are {INSTRUMENTS:,}")
    show(run(arguments.rules, arguments.firing, arguments.rounds, arguments.idle_seconds), as_json=arguments.json)


def run(rules: int, firing: Sequence[int], rounds: int, idle_seconds: int) -> Report:
    notes: list[str] = []
    with ExitStack() as stack:
        sink = stack.enter_context(smtp_sink())
        ours = Ours(make_database(stack.enter_context(benchmark_server()), "alerts"), sink, rules)
        stack.callback(ours.close)
        theirs = None
        try:
            theirs = Theirs(stack, sink, rules)
        except Missing as missing:
            notes.append(str(missing))
        rows, details = measure(ours, theirs, sink, firing, rounds)
        rows.append(our_idle(ours, max(5, idle_seconds)))
        if theirs:
            rows.append(theirs.idle(idle_seconds))
    title = f"From a new price to the email: {rules:,} rules, medians of {rounds} rounds"
    return Report("alertmanager", title, rows, (), [*NOTES, *notes], details)


def measure(
    ours: Ours, theirs: "Theirs | None", sink: Sink, firing: Sequence[int], rounds: int
) -> tuple[list[Row], dict[str, object]]:
    rows: list[Row] = []
    details: dict[str, object] = {}
    first = 1
    for alerts in firing:
        spent: dict[str, list[tuple[float, float]]] = {}
        evaluation: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            risen = range(first, first + alerts)
            first += alerts
            say(f"{alerts} firing, round {number} of {rounds}")
            measured = {OURS: our_round(ours, sink, risen)}
            if theirs:
                measured[THEIRS] = theirs.round(sink, risen)
            for method, (emails, evaluated) in measured.items() if number else ():  # the first round warms up
                spent.setdefault(method, []).append(emails)
                evaluation.setdefault(method, []).append(evaluated)
        for method, seconds in spent.items():
            firsts, lasts = [pair[0] for pair in seconds], [pair[1] for pair in seconds]
            rows.append(
                {
                    "method": method,
                    "firing": alerts,
                    "first email s": statistics.median(firsts),
                    "last email s": statistics.median(lasts),
                    "slowest s": max(lasts),
                    "evaluation s": statistics.median(evaluation[method]),
                    "CPU s": None,
                }
            )
        details[f"{alerts} firing: seconds to first and last email"] = spent
    return rows, details


def our_round(ours: Ours, sink: Sink, risen: range) -> tuple[tuple[float, float], float]:
    """Return the seconds until the first and the last email, and of the evaluation."""
    cycles: list[Cycle] = []
    seconds = until_emails(sink, len(risen), lambda: cycles.append(ours.cycle(risen)))
    ours.cycle(range(0))
    return seconds, cycles[0].evaluate


def until_emails(sink: Sink, emails: int, begin: Callable[[], object]) -> tuple[float, float]:
    """Call ``begin``; return the seconds until the first and until the last of ``emails`` emails."""
    before = len(sink.accepted)
    began = time.perf_counter()
    begin()
    while len(sink.accepted) < before + emails:
        if time.perf_counter() - began > TIMEOUT_SECONDS:
            raise RuntimeError(f"{len(sink.accepted) - before} of {emails} emails arrived")
        time.sleep(0.005)
    return sink.accepted[before] - began, sink.accepted[before + emails - 1] - began


def our_idle(ours: Ours, cycles: int) -> Row:
    """Run cycles in which all prices are new and none reaches a level."""
    processes = [os.getpid(), ours.postgres_pid]
    before = cpu_seconds(processes[1:]) + time.process_time()
    evaluation = [ours.cycle(range(0)).evaluate for _ in range(cycles)]
    spent = cpu_seconds(processes[1:]) + time.process_time() - before
    return idle_row(OURS, statistics.median(evaluation), spent / cycles)


def idle_row(method: str, evaluation: float, cpu: float) -> Row:
    return {
        "method": method,
        "firing": 0,
        "first email s": None,
        "last email s": None,
        "slowest s": None,
        "evaluation s": evaluation,
        "CPU s": cpu,
    }


class Theirs:
    """Both programs and the page with the gauges. Raises Missing if one is not installed."""

    def __init__(self, stack: ExitStack, sink: Sink, rules: int) -> None:
        alertmanager, prometheus = Alertmanager(), Prometheus()
        self.gauges: Gauges = stack.enter_context(shown_gauges())
        alertmanager.smtp_port = sink.port
        self.alertmanager = stack.enter_context(alertmanager)
        prometheus.rules, prometheus.gauges_port = rules, self.gauges.port
        prometheus.alertmanager_port = alertmanager.port
        self.prometheus = stack.enter_context(prometheus)
        wait_until(self.prometheus.watches, "Prometheus has evaluated all rules")

    def round(self, sink: Sink, risen: range) -> tuple[tuple[float, float], float]:
        """Return the seconds until the first and the last email, and of evaluating all rules; then lower all prices."""
        time.sleep(random.random())
        seconds = until_emails(sink, len(risen), lambda: self.gauges.show(risen))
        evaluation = self.prometheus.evaluation_seconds()
        self.gauges.show(range(0))
        wait_until(lambda: self.prometheus.firing() == 0, "all alerts are resolved")
        return seconds, evaluation

    def idle(self, seconds: int) -> Row:
        processes = [self.prometheus.pid, self.alertmanager.pid]
        before, began = cpu_seconds(processes), time.perf_counter()
        evaluation = []
        for _ in range(seconds):
            time.sleep(1)
            evaluation.append(self.prometheus.evaluation_seconds())
        cycles = time.perf_counter() - began
        return idle_row(THEIRS, statistics.median(evaluation), (cpu_seconds(processes) - before) / cycles)


def wait_until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"timed out after {TIMEOUT_SECONDS} s waiting until {what}")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
