"""Loading quotes, beside the limit and the peers: ``python -m benchmarks.loading``.

Ours: ``load_quotes`` from Quote objects in Python to committed rows, in calls of at most 500,000 so that memory stays
small. The limit: server-side COPY into the same table. The peers: psycopg's executemany and row by row with the same
ON CONFLICT, VictoriaMetrics and InfluxDB by their bulk ways (from the same Quote objects, and with the lines made
before the clock starts). Batch by batch in turns, each into a database of its own.
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
from benchmarks.loading.ways import (
    ExecuteMany,
    IntoInflux,
    IntoVictoria,
    OurWay,
    RowByRow,
    ServerSideCopy,
    Way,
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
HOW = f"{INSTRUMENTS:,} instruments, a quote a minute, {QUOTES_PER_CALL:,} a call at most; rates of the rows measured"
WORTH_WEIGHING = 100_000  # rows; of fewer, what every table costs weighs more than the rows
LIMIT_GOAL, PEER_GOAL = 0.5, 3.0
OURS, LIMIT, PEER = "coinwatch load_quotes", "server-side COPY", "executemany"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 100_000, 10_000_000], help="quotes per load")
    parser.add_argument("--rounds", type=int, default=5, help="loads of up to 500,000 quotes; of more there is one")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
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
    speed = {row["way"]: float(str(row["rows/s"])) for row in rows if row["rows"] == sizes[-1]}
    for other, least in ((LIMIT, LIMIT_GOAL), (PEER, PEER_GOAL)):
        ratio = speed[OURS] / speed[other]
        goals.append(Goal(f"{sizes[-1]:,} rows at no less than {least} times {other}", ratio, ratio >= least))
    return Report("loading", "Loading quotes", rows, goals, list(notes), details)


def measure(
    server: PostgresServer, size: int, rounds: int, notes: dict[str, None]
) -> tuple[list[Row], dict[str, float]]:
    """A row per way, rates by the median of the rounds; and where our time went."""
    seconds: dict[str, list[float]] = {}
    loaded: dict[str, int] = {}
    split: dict[str, float] = {}
    rows: list[Row] = []
    for number in range(rounds):
        with ExitStack() as stack:
            ways = make_ways(server, stack, notes)
            spent = dict.fromkeys(seconds or [way.name for way in ways], 0.0)
            loaded = dict.fromkeys(spent, 0)
            for batch in batches(size):
                for way in ways:
                    part = batch[: max(INSTRUMENTS, round(len(batch) * way.share))]
                    way.prepare(part)
                    spent[way.name] += timed(way, part)
                    loaded[way.name] += len(part)
                say(f"loading {size:,}: {loaded[OURS]:,} in {spent[OURS]:.1f} s, limit {spent[LIMIT]:.1f} s")
            for way in ways:
                began = time.perf_counter()
                way.finish()
                spent[way.name] += time.perf_counter() - began
                if (found := way.count()) != loaded[way.name]:
                    raise RuntimeError(f"{way.name} loaded {loaded[way.name]} quotes and has {found}")
                seconds.setdefault(way.name, []).append(spent[way.name])
                if isinstance(way, OurWay):
                    split = way.seconds
            if number == rounds - 1:
                rows = [row_of(way, size, loaded[way.name], seconds) for way in ways]
    return rows, split


def make_ways(server: PostgresServer, stack: ExitStack, notes: dict[str, None]) -> list[Way]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coinwatch-copy-")))
    folder.chmod(0o755)
    ours = make_database(server, "ours")
    ways: list[Way] = [
        ServerSideCopy(make_database(server, "by_copy"), stack, folder),
        OurWay(ours, stack),
        ExecuteMany(make_database(server, "by_executemany"), stack),
        RowByRow(make_database(server, "row_by_row"), stack),
    ]
    for make_program, make_way in ((VictoriaMetrics, IntoVictoria), (InfluxDB, IntoInflux)):
        for ready_made in (False, True):
            try:
                program = stack.enter_context(make_program())
            except Missing as missing:
                notes[str(missing)] = None
            else:
                ways.append(make_way(program, ours.ids, ready_made=ready_made))  # type: ignore[arg-type]
    return ways


def batches(size: int) -> Iterator[list[Quote]]:
    made = islice(quotes(0, -(-size // INSTRUMENTS)), size)
    while batch := list(islice(made, QUOTES_PER_CALL)):
        yield batch


def timed(way: Way, batch: Sequence[Quote]) -> float:
    began = time.perf_counter()
    way.load(batch)
    return time.perf_counter() - began


def row_of(way: Way, size: int, loaded: int, seconds: dict[str, list[float]]) -> Row:
    rate = loaded / statistics.median(seconds[way.name])
    ratio = rate / (size / statistics.median(seconds[LIMIT]))
    size_on_disk = way.disk_bytes() if loaded >= WORTH_WEIGHING else None
    return {
        "rows": size,
        "way": way.name,
        "measured": loaded,
        "rows/s": rate,
        "of the limit": ratio,
        "bytes/row": None if size_on_disk is None else size_on_disk / loaded,
        "on a crash": way.promise,
    }


if __name__ == "__main__":
    main()
