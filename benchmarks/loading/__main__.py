"""Loading quotes, compared with a limit and competitors: ``python -m benchmarks.loading``.

coinwatch: ``load_quotes`` from Quote objects in Python to committed rows, in calls of at most 500,000 to limit memory
usage. Limit: server-side COPY into the same table. Competitors: psycopg's executemany and row by row with the same
ON CONFLICT, and bulk writes to VictoriaMetrics and InfluxDB (from the same Quote objects, and with lines encoded
beforehand). Batches are loaded in turns, each method into its own database.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from benchmarks.loading.crash import after_crashes
from benchmarks.loading.methods import (
    ExecuteMany,
    IntoInflux,
    IntoVictoria,
    LoadMethod,
    LoadQuotes,
    RowByRow,
    ServerSideCopy,
)
from benchmarks.shared.influx import InfluxDB
from benchmarks.shared.market import INSTRUMENTS, quotes
from benchmarks.shared.postgres import benchmark_server, make_database
from benchmarks.shared.program import Missing
from benchmarks.shared.report import Goal, Report, Row, say, show
from benchmarks.shared.victoria import VictoriaMetrics
from coinwatch.exchanges.models import Quote
from tests.support.postgres import PostgresServer

QUOTES_PER_CALL = 500_000
HOW = f"{INSTRUMENTS:,} instruments, a quote a minute, at most {QUOTES_PER_CALL:,} per call; rates of the measured rows"
MIN_ROWS_FOR_SIZE = 100_000  # with fewer, the fixed size of a table dominates
LIMIT_GOAL, COMPETITOR_GOAL = 0.5, 3.0
OURS, LIMIT, COMPETITOR = "coinwatch load_quotes", "server-side COPY", "executemany"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 100_000, 10_000_000], help="quotes per load")
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds for sizes up to 500,000 quotes; larger sizes are loaded once"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    with benchmark_server() as server:
        show(run(server, sorted(arguments.rows), arguments.rounds), as_json=arguments.json)


def run(server: PostgresServer, sizes: Sequence[int], rounds: int) -> Report:
    rows: list[Row] = []
    goals: list[Goal] = []
    notes = {HOW: None, **dict.fromkeys(after_crashes())}
    details: dict[str, object] = {}
    for size in sizes:
        measured, split = measure(server, size, rounds if size <= QUOTES_PER_CALL else 1, notes)
        rows += measured
        details[f"seconds of load_quotes for {size}"] = split
        shares = ", ".join(f"{part} {seconds / sum(split.values()):.0%}" for part, seconds in split.items())
        notes[f"load_quotes of {size:,}: {shares}"] = None
    speed = {row["method"]: float(str(row["rows/s"])) for row in rows if row["rows"] == sizes[-1]}
    for other, least in ((LIMIT, LIMIT_GOAL), (COMPETITOR, COMPETITOR_GOAL)):
        ratio = speed[OURS] / speed[other]
        goals.append(Goal(f"{sizes[-1]:,} rows at {least} times {other} or faster", ratio, ratio >= least))
    return Report("loading", "Loading quotes", rows, goals, list(notes), details)


def measure(
    server: PostgresServer, size: int, rounds: int, notes: dict[str, None]
) -> tuple[list[Row], dict[str, float]]:
    """A row per method with its median rate, and the seconds spent in each part of load_quotes."""
    seconds: dict[str, list[float]] = {}
    loaded: dict[str, int] = {}
    split: dict[str, float] = {}
    rows: list[Row] = []
    for number in range(rounds):
        with ExitStack() as stack:
            methods = make_methods(server, stack, notes)
            spent = dict.fromkeys(seconds or [method.name for method in methods], 0.0)
            loaded = dict.fromkeys(spent, 0)
            for batch in batches(size):
                for method in methods:
                    part = batch[: max(INSTRUMENTS, round(len(batch) * method.fraction))]
                    method.prepare(part)
                    spent[method.name] += timed(method, part)
                    loaded[method.name] += len(part)
                say(f"loading {size:,}: {loaded[OURS]:,} in {spent[OURS]:.1f} s, limit {spent[LIMIT]:.1f} s")
            for method in methods:
                began = time.perf_counter()
                method.finish()
                spent[method.name] += time.perf_counter() - began
                if (found := method.count()) != loaded[method.name]:
                    raise RuntimeError(f"{method.name} loaded {loaded[method.name]} quotes but has {found}")
                seconds.setdefault(method.name, []).append(spent[method.name])
                if isinstance(method, LoadQuotes):
                    split = method.seconds
            if number == rounds - 1:
                rows = [row_of(method, size, loaded[method.name], seconds) for method in methods]
    return rows, split


def make_methods(server: PostgresServer, stack: ExitStack, notes: dict[str, None]) -> list[LoadMethod]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coinwatch-copy-")))
    folder.chmod(0o755)
    ours = make_database(server, "ours")
    methods: list[LoadMethod] = [
        ServerSideCopy(make_database(server, "by_copy"), stack, folder),
        LoadQuotes(ours, stack),
        ExecuteMany(make_database(server, "by_executemany"), stack),
        RowByRow(make_database(server, "row_by_row"), stack),
    ]
    for make_program, make_method in ((VictoriaMetrics, IntoVictoria), (InfluxDB, IntoInflux)):
        for encoded in (False, True):
            try:
                program = stack.enter_context(make_program())
            except Missing as missing:
                notes[str(missing)] = None
            else:
                methods.append(make_method(program, ours.ids, encoded=encoded))  # type: ignore[arg-type]
    return methods


def batches(size: int) -> Iterator[list[Quote]]:
    made = islice(quotes(0, -(-size // INSTRUMENTS)), size)
    while batch := list(islice(made, QUOTES_PER_CALL)):
        yield batch


def timed(method: LoadMethod, batch: Sequence[Quote]) -> float:
    began = time.perf_counter()
    method.load(batch)
    return time.perf_counter() - began


def row_of(method: LoadMethod, size: int, loaded: int, seconds: dict[str, list[float]]) -> Row:
    rate = loaded / statistics.median(seconds[method.name])
    ratio = rate / (size / statistics.median(seconds[LIMIT]))
    size_on_disk = method.disk_bytes() if loaded >= MIN_ROWS_FOR_SIZE else None
    return {
        "rows": size,
        "method": method.name,
        "measured": loaded,
        "rows/s": rate,
        "of the limit": ratio,
        "bytes/row": None if size_on_disk is None else size_on_disk / loaded,
        "on a crash": method.promise,
    }


if __name__ == "__main__":
    main()
