"""Lost alerts and duplicate emails after faults in or around the cycle: ``python -m benchmarks.outbox``.

Faults: the real cycle (collect, load, evaluate, deliver to an SMTP server) in its own process is killed, or loses
Postgres, at each of ten points and at a random moment, with random prices and rules from each seed; then new processes
run until everything is delivered, and every alert of an undisturbed run is looked up in the emails the server accepted.
Server faults: the mail server itself fails once at each step of an email. Races: several senders empty the same outbox.
Clock, lease and retry delays are the real ones. Most of the time is spent waiting, so several runs execute in parallel.
"""

import argparse
import json
import queue
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import product

import structlog

from benchmarks.outbox.races import races
from benchmarks.shared.report import Goal, Report, Row, say, text_of
from tests.support.faults.environment import FAULTS, FROZEN, OUTAGE, FaultEnvironment, fault_environment
from tests.support.faults.points import ANYWHERE, POINTS, SERVER_POINTS
from tests.support.faults.run import Outcome

SOON_SECONDS = 30.0
SMTP_SILENCE = {"coinwatch.mail.smtp.TIMEOUT_SECONDS": 2}
STEPS = ("connect", "ehlo", "mail", "rcpt", "data", "body", "dot", "accepted")
REJECTIONS = (
    ("mail", "451 4.3.0 try later"),
    ("rcpt", "451 4.3.0 try later"),
    ("rcpt", "550 5.1.1 no such user"),
    ("data", "451 4.3.0 try later"),
    ("dot", "451 4.3.0 try later"),
    ("dot", "554 5.7.1 looks like spam"),
)
FAULT_CASES = [*product((*POINTS, ANYWHERE), FAULTS), ("after match", OUTAGE), ("after 250", OUTAGE)]
FAULT_CASES += [(point, FROZEN) for point in SERVER_POINTS]
SERVER_FAULTS = (*REJECTIONS, *((step, what) for what in ("silence", "close") for step in STEPS))
PARTS = ("faults", "server-faults", "races")

Case = tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each point and fault, each with its own prices")
    parser.add_argument("--first-seed", type=int, default=1, help="for other prices than the last time")
    parser.add_argument("--emails", type=int, default=100_000, help="in the races")
    parser.add_argument("--at-once", type=int, default=10, help="concurrent runs, each with its own Postgres")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="run only these parts")
    parser.add_argument("--small", action="store_true", help="one seed, 2,000 emails")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    seeds = range(arguments.first_seed, arguments.first_seed + (1 if arguments.small else arguments.seeds))
    reports = []
    if "faults" in arguments.only:
        title = "A fault at each of ten points of the cycle, or at random"
        played = play_all(FAULT_CASES, FaultEnvironment.fault, seeds, arguments.at_once)
        reports.append(report("outbox faults", title, played, SOON_SECONDS))
    if "server-faults" in arguments.only:
        title = "The mail server fails once"
        played = play_all(SERVER_FAULTS, FaultEnvironment.server_fault, seeds, arguments.at_once)
        reports.append(report("outbox server-faults", title, played))
    if "races" in arguments.only:
        reports.append(races(2_000 if arguments.small else arguments.emails))
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(each) for each in reports], indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(text_of(each) for each in reports) + "\n")


def play_all(
    cases: Sequence[Case],
    play: Callable[[FaultEnvironment, int, str, str], Outcome],
    seeds: Sequence[int],
    at_once: int,
) -> dict[Case, list[Outcome]]:
    """Play every case with every seed, several in parallel; print a line for each run that is not as expected."""
    waiting: queue.SimpleQueue[tuple[int, Case]] = queue.SimpleQueue()
    for seed in seeds:
        for case in cases:
            waiting.put((seed, case))
    played: dict[Case, list[Outcome]] = {case: [] for case in cases}
    lock, total, done = threading.Lock(), len(cases) * len(seeds), 0

    def work(_: int) -> None:
        nonlocal done
        with fault_environment(SMTP_SILENCE) as environment:
            while True:
                try:
                    seed, case = waiting.get_nowait()
                except queue.Empty:
                    return
                outcome = play(environment, seed, *case)
                with lock:
                    played[case].append(outcome)
                    done += 1
                    if outcome.lost or outcome.unexplained or outcome.tracebacks:
                        say(f"UNEXPECTED: seed {seed}, {case}: {outcome}")
                    if done % 20 == 0 or done == total:
                        say(f"{done} of {total} runs")

    with ThreadPoolExecutor(min(at_once, total)) as pool:
        list(pool.map(work, range(min(at_once, total))))
    return played


def report(name: str, title: str, played: dict[Case, list[Outcome]], soon_seconds: float | None = None) -> Report:
    """A row per case, and goals over all of them.

    Temporary rejections wait 30 s by design, so there is no goal for them.
    """
    rows: list[Row] = [_row(case, outcomes) for case, outcomes in played.items()]
    everything = [outcome for outcomes in played.values() for outcome in outcomes]
    lost, unexplained = (
        sum(outcome.lost for outcome in everything),
        sum(len(outcome.unexplained) for outcome in everything),
    )
    tracebacks = sum(len(outcome.tracebacks) for outcome in everything)
    slowest = max((outcome.first_seconds or 0.0 for outcome in everything), default=0.0)
    goals = [
        Goal("alerts lost: 0", lost, lost == 0),
        Goal(
            "duplicates of emails that were not in flight, or with another Message-ID: 0",
            unexplained,
            unexplained == 0,
        ),
        Goal("tracebacks of libraries: 0", tracebacks, tracebacks == 0),
    ]
    if soon_seconds:
        goals.append(Goal(f"emails go out again within {soon_seconds:g} s", slowest, slowest <= soon_seconds))
    alerts, emails = (statistics.median(getattr(run, name) for run in everything) for name in ("alerts", "emails"))
    note = (
        f"{len(everything)} runs, with {alerts:g} alerts in {emails:g} emails each (median). in flight: accepted by the"
        " server and not marked at the moment of the fault. Seconds from the kill, from when Postgres was back, or"
        " from the mail server's failure, to the first email accepted after it, and to the last."
    )
    return Report(name, title, rows, goals, [note])


def _row(case: Case, outcomes: Sequence[Outcome]) -> Row:
    first = [outcome.first_seconds for outcome in outcomes if outcome.first_seconds is not None]
    last = [outcome.last_seconds for outcome in outcomes if outcome.last_seconds is not None]
    return {
        "point": case[0],
        "fault": case[1],
        "runs": len(outcomes),
        "lost": sum(outcome.lost for outcome in outcomes),
        "duplicates": sum(outcome.duplicates for outcome in outcomes),
        "in flight": sum(outcome.in_flight for outcome in outcomes),
        "most in flight": max(outcome.in_flight for outcome in outcomes),
        "unexplained": sum(len(outcome.unexplained) for outcome in outcomes),
        "rejected": sum(outcome.rejected for outcome in outcomes),
        "known errors": sum(len(outcome.known_errors) for outcome in outcomes),
        "first s": statistics.median(first) if first else None,
        "first s max": max(first, default=None),
        "last s": statistics.median(last) if last else None,
        "last s max": max(last, default=None),
    }


if __name__ == "__main__":
    main()
