"""Alternating rounds of the evaluation and of the scans it is compared with, on one database."""

import json
import statistics
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
import sqlalchemy as sa

from benchmarks.evaluation.stages import timed_statements
from benchmarks.evaluation.subscribers import FIRING, HISTORY_MINUTES, RISE, load, rises
from benchmarks.shared.market import INSTRUMENTS, START
from benchmarks.shared.postgres import Database
from coinwatch.alerts.evaluation import SLACK, create_temporary_tables
from coinwatch.database import statement
from coinwatch.pipeline import store_alerts

WARM_UP = 2  # pairs of rounds, one of which fires
LOOKUP = (
    "alerts/evaluation/find_candidates",
    "alerts/evaluation/find_crossed_levels",
    "alerts/evaluation/find_steps_",
    "alerts/evaluation/rearm_subscriptions",
)
FINDING = (
    *LOOKUP,
    "alerts/evaluation/select_pending_range",
    "alerts/evaluation/copy_pending_quotes",
    "alerts/evaluation/select_rules_in_use",
    "alerts/evaluation/select_scan_bounds",
    "alerts/evaluation/find_changes_",
    "alerts/evaluation/scan_changes",
    "alerts/evaluation/delete_unused_extremes",
    "alerts/evaluation/compute_",
)
SEQUENTIAL = (
    "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; "
    "SET max_parallel_workers_per_gather = 0; SET jit = off"
)
COUNT = "SELECT count(*) FROM subscriptions"
# Each instrument's changes in rounds that fire: from an odd number of minutes ago, and from an average half of whose
# values are high.
CHANGES = f"""
CREATE TEMPORARY TABLE all_changes AS
SELECT number AS instrument_id, kind, window_seconds, 100.0::float8 + number AS reference,
       (100 + number) * {RISE}::float8 AS value,
       CASE kind WHEN 'deviation_from_average' THEN 2.1::float8 WHEN 'new_high' THEN 0.0002 ELSE 5 END AS change
FROM generate_series(1, {INSTRUMENTS}) number, (SELECT DISTINCT kind, window_seconds FROM subscriptions) rules
"""
COMPARE = """
SELECT count(*) FROM subscriptions s
JOIN all_changes c ON c.instrument_id = s.instrument_id AND c.kind = s.kind AND c.window_seconds = s.window_seconds
WHERE s.status = 'active' AND s.armed AND s.metric = 'price' AND CASE
  WHEN s.kind = 'crosses' THEN s.direction <> 'down' AND s.threshold > c.reference AND s.threshold <= c.value
  WHEN s.direction = 'up' THEN c.change >= s.threshold
  WHEN s.direction = 'down' THEN -c.change >= s.threshold
  ELSE abs(c.change) >= s.threshold END
"""


@dataclass
class Measured:
    """Seconds of each measured round. ``stages`` are the statements of the rounds that fire.

    ``first`` is how long the first run of an hour takes to compute the highs and lows of its periods.
    """

    stages: list[dict[str, float]] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    count: list[float] = field(default_factory=list)
    compare: list[float] = field(default_factory=list)
    planning: dict[str, float] = field(default_factory=dict)
    first: float = 0.0

    def median_ms(self, name: str) -> float:
        """Of a list by its name; or of ``lookup``, or ``finding``: all that comes before an alert is written."""
        wanted = {"lookup": LOOKUP, "finding": FINDING}.get(name)
        seconds: list[float] = [_sum_of(wanted, stages) for stages in self.stages] if wanted else getattr(self, name)
        return statistics.median(seconds) * 1000


def _sum_of(beginnings: tuple[str, ...], stages: dict[str, float]) -> float:
    return sum(spent for stage, spent in stages.items() if stage.startswith(beginnings))


def measure(database: Database, rounds: int) -> Measured:
    """Load a quote of every instrument per round; every second round fires ``FIRING`` alerts, the others none."""
    measured = Measured()
    engine = database.engine()
    with database.admin() as scanner:
        for setting in SEQUENTIAL.split("; "):
            scanner.execute(setting)
        scanner.execute(CHANGES)
        scanner.execute("ANALYZE all_changes")
        for number in range(2 * (WARM_UP + rounds)):
            minute = HISTORY_MINUTES + 1 + number
            load(database, minute)
            if rises(minute):
                counted, _ = _timed(scanner, COUNT)
                compared, found = _timed(scanner, COMPARE)
                if found != FIRING:
                    raise RuntimeError(f"the scan finds {found} subscriptions that fire, not {FIRING}")
            with timed_statements(engine) as stages:
                began = time.perf_counter()
                result = store_alerts(engine, START + timedelta(minutes=minute))
                spent = time.perf_counter() - began
            if (result.quotes, result.alerts) != (INSTRUMENTS, FIRING if rises(minute) else 0):
                raise RuntimeError(f"unexpected result of a round: {result}")
            if number == 0:
                measured.first = _sum_of(("alerts/evaluation/compute_",), stages)
            if number < 2 * WARM_UP:
                continue
            if not rises(minute):
                measured.idle.append(spent)
                continue
            measured.stages.append(dict(stages))
            measured.whole.append(spent)
            measured.count.append(counted)
            measured.compare.append(compared)
    measured.planning = _planning(engine, START + timedelta(minutes=minute))
    engine.dispose()
    return measured


def _timed(connection: psycopg.Connection[tuple[object, ...]], query: str) -> tuple[float, int]:
    """Run a query that returns a number; return the seconds and the number."""
    began = time.perf_counter()
    row = connection.execute(query).fetchone()
    return time.perf_counter() - began, int(str(row[0])) if row else 0


def _planning(engine: sa.Engine, now: datetime) -> dict[str, float]:
    """Planning time in milliseconds of the statements that read the partitions of prices: the median of ten."""
    window = timedelta(hours=1)
    subject = {"kind": "change_over_window", "instruments": None, "lowest": 0, "seconds": 3600, "window": window}
    parameters: dict[str, dict[str, object]] = {
        "alerts/evaluation/copy_pending_quotes": {"oldest": now - window, "newest": now},
        "alerts/evaluation/find_changes_over_window": subject
        | {"slack": SLACK, "oldest": now - window - SLACK, "newest": now - window},
        "alerts/evaluation/find_changes_from_average": subject | {"oldest": now - window, "newest": now},
    }
    found = {}
    with engine.connect() as connection:
        create_temporary_tables(connection)
        for name, values in parameters.items():
            explain = sa.text("EXPLAIN (SUMMARY, FORMAT JSON) " + statement(name).text)
            plans = [connection.execute(explain, values).scalar_one() for _ in range(10)]
            found[name] = statistics.median(
                float((json.loads(plan) if isinstance(plan, str) else plan)[0]["Planning Time"]) for plan in plans
            )
    return found
