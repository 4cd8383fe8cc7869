"""From a new price to the mail, beside Prometheus with Alertmanager: ``python -m benchmarks.alertmanager``.

10,000 rules "the price reaches this level" on 1,000 instruments, of which 1 or 100 fire, one mail each, into the same
SMTP sink, in turns. Ours: load_quotes of 1,000 new quotes, match_alerts and deliver_emails, one called after the other.
Theirs: Debian's Prometheus scrapes the same 1,000 prices from a web page and evaluates the rules, both every second,
and Alertmanager mails at once (group_wait 0s). Prices change at any moment within their second.

What is measured differs by design: they look every second whatever happens, so that their latency holds half a second
of waiting for the scrape and half for the evaluation on average; ours is called when prices come, and how often that
is, is the pipeline's schedule (minutes). So the time they need for evaluating the rules stands beside our match_alerts,
and the processor time of a cycle in which nothing fires beside theirs.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import structlog

from benchmarks.alertmanager.gauges import Gauges, shown_gauges
from benchmarks.alertmanager.ours import Cycle, Ours
from benchmarks.alertmanager.processor_time import processor_seconds
from benchmarks.alertmanager.programs import Alertmanager, Prometheus
from benchmarks.shared.market import INSTRUMENTS
from benchmarks.shared.postgres import benchmark_server, make_database
from benchmarks.shared.program import Missing
from benchmarks.shared.report import Report, Row, say, show
from benchmarks.sink import Sink, smtp_sink

OURS, THEIRS = "coinwatch", "Prometheus and Alertmanager"
PATIENCE_SECONDS = 60
NOTES = """
first and last mail: median seconds from the new prices (given to load_quotes; shown on the page) to the server's yes
slowest: the slowest last mail; each of our mails has the chart of its instrument, theirs have none
judging: ours is match_alerts with alerts and mails committed; theirs the evaluation of all rules, without Alertmanager
(prometheus_rule_group_last_duration_seconds of all groups, added up); the waiting of neither
processor: user and system time of all processes in a cycle in which nothing fires; theirs is a second
""".strip().splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=10_000, help="at least 1,000")
    parser.add_argument("--firing", type=int, nargs="+", default=[1, 100], help="rules that fire in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--idle-seconds", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="1,000 rules, 2 rounds")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if arguments.small:
        arguments.rules, arguments.rounds, arguments.idle_seconds = 1_000, 2, 5
    if sum(arguments.firing) * (arguments.rounds + 1) > INSTRUMENTS:
        parser.error(f"every alert needs an instrument of its own, and there are {INSTRUMENTS:,}")
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
    title = f"From a new price to the mail: {rules:,} rules, medians of {rounds} rounds"
    return Report("alertmanager", title, rows, (), [*NOTES, *notes], details)


def measure(
    ours: Ours, theirs: "Theirs | None", sink: Sink, firing: Sequence[int], rounds: int
) -> tuple[list[Row], dict[str, object]]:
    rows: list[Row] = []
    details: dict[str, object] = {}
    first = 1
    for alerts in firing:
        spent: dict[str, list[tuple[float, float]]] = {}
        judging: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            risen = range(first, first + alerts)
            first += alerts
            say(f"{alerts} firing, round {number} of {rounds}")
            measured = {OURS: our_round(ours, sink, risen)}
            if theirs:
                measured[THEIRS] = theirs.round(sink, risen)
            for way, (mailed, judged) in measured.items() if number else ():  # the first one warms up
                spent.setdefault(way, []).append(mailed)
                judging.setdefault(way, []).append(judged)
        for way, seconds in spent.items():
            firsts, lasts = [pair[0] for pair in seconds], [pair[1] for pair in seconds]
            rows.append(
                {
                    "way": way,
                    "firing": alerts,
                    "first mail s": statistics.median(firsts),
                    "last mail s": statistics.median(lasts),
                    "slowest s": max(lasts),
                    "judging s": statistics.median(judging[way]),
                    "processor s": None,
                }
            )
        details[f"{alerts} firing: seconds to first and last mail"] = spent
    return rows, details


def our_round(ours: Ours, sink: Sink, risen: range) -> tuple[tuple[float, float], float]:
    """Seconds to the first and to the last mail, and of matching."""
    cycles: list[Cycle] = []
    seconds = until_mails(sink, len(risen), lambda: cycles.append(ours.cycle(risen)))
    ours.cycle(range(0))
    return seconds, cycles[0].match


def until_mails(sink: Sink, mails: int, begin: Callable[[], object]) -> tuple[float, float]:
    """Seconds from ``begin`` to the first and to the last of so many mails."""
    before = len(sink.accepted)
    began = time.perf_counter()
    begin()
    while len(sink.accepted) < before + mails:
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise RuntimeError(f"{len(sink.accepted) - before} of {mails} mails came")
        time.sleep(0.005)
    return sink.accepted[before] - began, sink.accepted[before + mails - 1] - began


def our_idle(ours: Ours, cycles: int) -> Row:
    """Cycles in which all prices are new and none reaches a level."""
    processes = [os.getpid(), ours.postgres_pid]
    before = processor_seconds(processes[1:]) + time.process_time()
    judging = [ours.cycle(range(0)).match for _ in range(cycles)]
    spent = processor_seconds(processes[1:]) + time.process_time() - before
    return idle_row(OURS, statistics.median(judging), spent / cycles)


def idle_row(way: str, judging: float, processor: float) -> Row:
    return {
        "way": way,
        "firing": 0,
        "first mail s": None,
        "last mail s": None,
        "slowest s": None,
        "judging s": judging,
        "processor s": processor,
    }


class Theirs:
    """Both programs and the page with the gauges, running. Raises Missing."""

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
        """Seconds to the first and to the last mail, and of evaluating all rules; then all prices are down again."""
        time.sleep(random.random())
        seconds = until_mails(sink, len(risen), lambda: self.gauges.show(risen))
        judging = self.prometheus.evaluation_seconds()
        self.gauges.show(range(0))
        wait_until(lambda: self.prometheus.firing() == 0, "no alert fires any more")
        return seconds, judging

    def idle(self, seconds: int) -> Row:
        processes = [self.prometheus.pid, self.alertmanager.pid]
        before, began = processor_seconds(processes), time.perf_counter()
        judging = []
        for _ in range(seconds):
            time.sleep(1)
            judging.append(self.prometheus.evaluation_seconds())
        cycles = time.perf_counter() - began
        return idle_row(THEIRS, statistics.median(judging), (processor_seconds(processes) - before) / cycles)


def wait_until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE_SECONDS} s, but not: {what}")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
