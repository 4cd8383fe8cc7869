"""Reading a large history, compared with time-series databases: ``python -m benchmarks.reads``.

100 million prices of 1,000 instruments with a year of hourly and five years of daily candles, the same in
Postgres, VictoriaMetrics and InfluxDB. Five queries, each for a random instrument, through coinwatch's functions and
the competitors' HTTP APIs, to Python objects. All caches are warm.
"""

import argparse
import gc
import random
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack

from benchmarks.reads.queries import Query, coinwatch_queries, influx_queries, victoria_queries
from benchmarks.reads.stored import copy_to_influx, copy_to_victoria, fill
from benchmarks.shared.influx import InfluxDB
from benchmarks.shared.market import INSTRUMENTS
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.program import Missing
from benchmarks.shared.report import Goal, Report, Row, say, show
from benchmarks.shared.victoria import VictoriaMetrics

OURS = "coinwatch"
WARM_UP, RUNS_AT_A_TIME = 10, 50
TOLERANCE = 1e-9
BYTES_PER_PRICE, BYTES_OF_CANDLES = 180, 4e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prices", type=int, default=100_000_000, help="stored prices (at least 1,000,000)")
    parser.add_argument("--runs", type=int, default=300, help="measured runs of each query")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    need = arguments.prices * BYTES_PER_PRICE + BYTES_OF_CANDLES
    if shutil.disk_usage(tempfile.gettempdir()).free < need:
        parser.exit(1, f"{arguments.prices:,} prices need {need / 1e9:.0f} GB in {tempfile.gettempdir()}\n")
    with benchmark_server() as server:
        show(run(make_database(server, "history"), arguments.prices, arguments.runs), as_json=arguments.json)


def run(database: Database, prices: int, runs: int) -> Report:
    notes = ["caches warm; results compared before measuring; one HTTP connection per competitor"]
    with ExitStack() as stack:
        say("filling Postgres")
        fill(database, prices)
        engine = database.engine()
        stack.callback(engine.dispose)
        stores = {OURS: coinwatch_queries(engine)}
        sizes: dict[str, object] = {OURS: database.bytes_of("prices", "candles")}
        try:
            victoria = stack.enter_context(VictoriaMetrics())
            say("copying to VictoriaMetrics")
            copy_to_victoria(database, victoria, prices)
            stores[victoria.name] = victoria_queries(victoria)
            sizes[victoria.name] = victoria.disk_bytes()
        except Missing as missing:
            notes.append(str(missing))
        try:
            influx = stack.enter_context(InfluxDB())
            say("copying to InfluxDB")
            copy_to_influx(database, influx, prices)
            stores[influx.name] = influx_queries(influx)
            sizes[influx.name] = influx.disk_bytes()
        except Missing as missing:
            notes.append(str(missing))
        compare(stores)
        seconds = measure(stores, runs)
    notes.append("GB on disk: " + ", ".join(f"{name} {int(str(size)) / 1e9:.1f}" for name, size in sizes.items()))
    rows = [row_of(query, name, spent) for query, each in seconds.items() for name, spent in each.items()]
    return Report(
        "reads",
        f"Reads at {prices:,} prices, at least {runs} runs each",
        rows,
        list(goals_of(seconds)),
        notes,
        {"bytes": sizes},
    )


def compare(stores: dict[str, dict[str, Query]]) -> None:
    """Raise RuntimeError if a store's result differs from ours."""
    for query, ours in stores[OURS].items():
        for i in (1, 7, INSTRUMENTS):
            expected = ours.plain(ours.run(i))
            if not expected:
                raise RuntimeError(f"{query}: nothing found")
            for name, queries in stores.items():
                found = queries[query].plain(queries[query].run(i))
                if not is_close(expected, found):
                    raise RuntimeError(
                        f"{query}, instrument {i}: {name} returned {found!s:.300}, expected {expected!s:.300}"
                    )


def is_close(left: object, right: object) -> bool:
    """Whether results are equal up to rounding errors."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_close(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(is_close, left, right))
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right) <= TOLERANCE * max(abs(left), abs(right))
    return left == right


def measure(stores: dict[str, dict[str, Query]], runs: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each run, by query and store.

    Stores take turns of several runs, because a store may still be busy internally after a query. Existing objects are
    hidden from Python's garbage collector, which would otherwise interrupt random runs to scan them.
    """
    gc.collect()
    gc.freeze()
    chosen = random.Random(1)
    seconds: dict[str, dict[str, list[float]]] = {}
    for query in stores[OURS]:
        say(query)
        spent = seconds[query] = {name: [] for name in stores}
        for _ in range(-(-runs // RUNS_AT_A_TIME)):
            numbers = [chosen.randint(1, INSTRUMENTS) for _ in range(WARM_UP + RUNS_AT_A_TIME)]
            for name, queries in stores.items():
                took = [timed(queries[query], i) for i in numbers]
                spent[name] += took[WARM_UP:]
    return seconds


def timed(query: Query, i: int) -> float:
    began = time.perf_counter()
    query.run(i)
    return time.perf_counter() - began


def row_of(query: str, name: str, spent: list[float]) -> Row:
    return {
        "query": query,
        "store": name,
        "p50 ms": statistics.median(spent) * 1000,
        "p99 ms": percentile_99(spent) * 1000,
    }


def goals_of(seconds: dict[str, dict[str, list[float]]]) -> list[Goal]:
    """Faster than every competitor, by the median and by the 99th percentile."""
    goals = []
    for query, spent in seconds.items():
        for name in spent.keys() - {OURS}:
            ratio = statistics.median(spent[name]) / statistics.median(spent[OURS])
            tail = percentile_99(spent[name]) / percentile_99(spent[OURS])
            text = f"{query}: faster than {name} (p99: {tail:.2f} times)"
            goals.append(Goal(text, ratio, ratio > 1 and tail > 1))
    return goals


def percentile_99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


if __name__ == "__main__":
    main()
