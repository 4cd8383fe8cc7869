"""The REST API under load, compared with Postgres itself and with Flask: ``python -m benchmarks.api``.

The latest price of a random coin and 24 hours of its one-minute prices, from ``coinwatch web`` with two workers. Limit:
pgbench executing the same statements. Competitor: Flask, psycopg2 and gunicorn with two workers, as in Crypto Prices
Tracker, executing the same statements and returning the same fields. All take turns, with the same number of
connections. ``coinwatch web`` reuses responses for up to two seconds; with ``no-cache``, each request executes its
statements. Then the latest price again, with and without 1,000 open streams, while prices are being loaded.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from benchmarks.api.load import CONNECTIONS, Measured, check_programs, run_pgbench, run_wrk
from benchmarks.api.servers import WORKERS, Server, coinwatch, tracker
from benchmarks.api.statements import HISTORY, LATEST, parameters, pgbench_script
from benchmarks.api.stored import fill, loading
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say, show

OURS, EACH_READ, LIMIT = "coinwatch", "coinwatch, no-cache", "pgbench"
STREAMING = "latest price while loading"
LIMIT_GOAL, COMPETITOR_GOAL, STREAMS_GOAL = 0.4, 3.0, 2.0
WARM_UP_SECONDS = 2

Rounds = dict[tuple[str, str], list[Measured]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instruments", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each server and read")
    parser.add_argument("--seconds", type=int, default=5, help="duration of a measurement")
    parser.add_argument("--streams", type=int, default=1000, help="open streams")
    parser.add_argument("--small", action="store_true", help="1 round of 1 second, 50 streams")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.rounds, arguments.seconds, arguments.streams = 1, 1, 50
    check_programs()
    with benchmark_server() as server:
        database = make_database(server, "api")
        report = run(database, arguments.instruments, arguments.rounds, arguments.seconds, arguments.streams)
        show(report, as_json=arguments.json)


def run(database: Database, instruments: int, rounds: int, seconds: int, streams: int) -> Report:
    say(f"filling {instruments} instruments")
    end = fill(database, instruments)
    scripts = {read: pgbench_script(read, instruments) for read in (LATEST, HISTORY)}
    found: Rounds = {}
    with ExitStack() as stack:
        ours = stack.enter_context(coinwatch(database, end))
        flask = [stack.enter_context(tracker(database, end, connection)) for connection in ("worker", "request")]

        def measuring(server: Server) -> Callable[[str, float], Measured]:
            return lambda read, duration: run_wrk(server, read, instruments, duration)

        each_read = replace(ours, name=EACH_READ, headers=["Cache-Control: no-cache"])
        methods = {server.name: measuring(server) for server in (ours, each_read, *flask)}
        methods[LIMIT] = lambda read, duration: run_pgbench(database, scripts[read], parameters(end), duration)
        for read in (LATEST, HISTORY):
            say(read)
            measure(read, methods, rounds, seconds, found)
        say(f"{streams:,} streams")
        measure_streams(database, ours, instruments, rounds, seconds, streams, found)
    return Report(
        "api",
        f"REST API with {WORKERS} workers, {CONNECTIONS} connections, median of {rounds} rounds of {seconds} s",
        [row_of(read, name, each) for (read, name), each in found.items()],
        list(goals_of(found, streams)),
        [f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {instruments} instruments"],
    )


def measure(
    read: str, methods: Mapping[str, Callable[[str, float], Measured]], rounds: int, seconds: int, found: Rounds
) -> None:
    """Measure all methods in turns, each after a warm-up."""
    for method in methods.values():
        method(read, WARM_UP_SECONDS)
    for _ in range(rounds):
        for name, method in methods.items():
            found.setdefault((read, name), []).append(method(read, seconds))


def measure_streams(
    database: Database, ours: Server, instruments: int, rounds: int, seconds: int, streams: int, found: Rounds
) -> None:
    """Measure the latest price without and with open streams, in turns, while prices are being loaded."""
    for _ in range(rounds):
        with loading(database, instruments):
            for count in (0, streams):
                with listening(ours, count):
                    measured = run_wrk(ours, LATEST, instruments, max(seconds, 2 * WARM_UP_SECONDS))
                found.setdefault((STREAMING, f"{count:,} streams"), []).append(measured)


@contextmanager
def listening(server: Server, count: int) -> Iterator[None]:
    """Hold ``count`` streams open. Raises RuntimeError if they receive nothing."""
    if count == 0:
        time.sleep(WARM_UP_SECONDS)
        yield
        return
    _raise_file_limit()
    command = [sys.executable, "-m", "benchmarks.api.streams", f"{server.url}/api/v1/stream", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        connected = process.stdout.readline() if process.stdout else ""
        if connected.strip() != "connected":
            raise RuntimeError(f"{count} streams could not be opened")
        yield
        received, _ = process.communicate("")
    if int(received) < 2 * count:
        raise RuntimeError(f"{count} streams received only {received.strip()} events")


def _raise_file_limit() -> None:
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def row_of(read: str, name: str, measured: list[Measured]) -> Row:
    return {
        "read": read,
        "server": name,
        "requests/s": statistics.median(each.per_second for each in measured),
        "p50 ms": statistics.median(each.p50_ms for each in measured),
        "p99 ms": statistics.median(each.p99_ms for each in measured),
    }


def goals_of(found: Rounds, streams: int) -> Iterator[Goal]:
    """Ratios of each round, of which the median counts: the machine may be busier in another round."""

    def ratio(read: str, name: str, other: str, figure: Callable[[Measured], float]) -> float:
        pairs = zip(found[read, name], found[read, other], strict=True)
        return statistics.median(figure(one) / figure(another) for one, another in pairs)

    def rate(measured: Measured) -> float:
        return measured.per_second

    value = ratio(LATEST, OURS, LIMIT, rate)
    yield Goal(f"{LATEST}: at least {LIMIT_GOAL} of pgbench's requests/s", value, value >= LIMIT_GOAL)
    value = ratio(HISTORY, OURS, LIMIT, rate)
    yield Goal(f"{HISTORY}: part of pgbench's requests/s", value, None)
    value = ratio(LATEST, EACH_READ, LIMIT, rate)
    yield Goal(f"{LATEST}, if each request reads: part of pgbench's requests/s", value, None)
    for read in (LATEST, HISTORY):
        for name in (name for kind, name in found if kind == read and name.startswith("Flask")):
            value = ratio(read, OURS, name, rate)
            text = f"{read}: at least {COMPETITOR_GOAL:.0f} times the requests/s of {name}"
            yield Goal(text, value, value >= COMPETITOR_GOAL)
    value = ratio(STREAMING, f"{streams:,} streams", "0 streams", lambda measured: measured.p99_ms)
    yield Goal(
        f"p99 with {streams:,} streams at most {STREAMS_GOAL:.0f} times that without", value, value <= STREAMS_GOAL
    )


if __name__ == "__main__":
    main()
