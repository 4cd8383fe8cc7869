"""One rule backtested on a year of one-minute prices: ``python -m benchmarks.backtest``.

525,600 prices of one instrument among others. Ours is ``backtest``, from the call to Python objects; ``database s`` is
the part spent in its statements, including the round trips; the rest is mostly opening its own session. The limit is a
plain aggregate over the same rows. The competitor fetches the same rows into a pandas frame (``fetch``) and evaluates
them there (``pandas``), with the code that the tests compare the evaluation with. In turns, medians, all caches warm;
the alerts of ours and of pandas are compared.

First the whole year is in daily partitions of prices, then, as with the default retention, in minute candles up to the
last 90 days. Finally the backtest of the form on the web page: 30 days with a price every 3 minutes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import sqlalchemy as sa
import structlog

from benchmarks.shared.history import moment, run_all, settle
from benchmarks.shared.market import EXCHANGE, PRICE, START
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import EXTREMES, Rule
from coinwatch.database import create_engine
from coinwatch.formatting import format_duration
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.ingest.partitions import ensure_partitions
from tests.support.month import expected

DAY_MINUTES, KEPT_DAYS, FORM_DAYS = 1440, 90, 30
GOAL_SECONDS, FORM_GOAL_SECONDS = 1.0, 0.1
MINUTES, HOUR, DAY = 300, 3600, 86400
RULES = [
    Rule("change_since_last", 0.08),
    Rule("crosses", 10_500),
    Rule("change_over_window", 0.1, window_seconds=MINUTES),
    Rule("change_over_window", 0.5, window_seconds=HOUR),
    Rule("change_over_window", 9, window_seconds=DAY),
    Rule("deviation_from_average", 0.1, window_seconds=MINUTES),
    Rule("deviation_from_average", 0.3, window_seconds=HOUR),
    Rule("deviation_from_average", 4, window_seconds=DAY),
    Rule("new_high", 0, "up", window_seconds=DAY),
    Rule("new_low", 0, "down", window_seconds=30 * DAY),
    Rule("new_high", 0, "up", cooldown_seconds=DAY),
]
# The last of the instruments has a price every 3 minutes, the others one a minute.
INSERT = f"""
INSERT INTO prices (instrument_id, observed_at, price, received_at)
SELECT i, moment, price, moment FROM (
  SELECT i, n, %(start)s + n * interval '1 minute' AS moment, {PRICE.replace("%", "%%")} AS price
  FROM generate_series(%(first)s::bigint, %(last)s::bigint - 1) n, generate_series(1, %(instruments)s) i
  WHERE i < %(instruments)s OR n %% 3 = 0 ORDER BY n, i
) made
"""
MARK_STALE = "INSERT INTO stale_candles (instrument_id, first_at, last_at) VALUES (1, %s, %s)"
ROWS = {
    "prices": """
        SELECT observed_at, price AS value FROM prices
        WHERE instrument_id = :id AND observed_at > :start AND observed_at <= :end
    """,
    "minutes": """
        SELECT opened_at + interval '1 minute' AS observed_at, close AS value FROM candles
        WHERE instrument_id = :id AND resolution = '1m' AND opened_at > :start - interval '1 minute'
          AND opened_at < :kept - interval '1 minute'
        UNION ALL
        SELECT observed_at, price FROM prices WHERE instrument_id = :id AND observed_at >= :kept AND observed_at <= :end
    """,
}


@dataclass(frozen=True)
class Subject:
    """The rows that a backtest evaluates, and where they are stored."""

    source: str
    instrument: int
    start: datetime
    end: datetime
    kept: datetime


@dataclass
class Spent:
    """Seconds per round."""

    ours: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    scan: list[float] = field(default_factory=list)
    fetch: list[float] = field(default_factory=list)
    pandas: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365, help="days of one-minute prices")
    parser.add_argument("--instruments", type=int, default=10, help="instruments that share the tables")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="100 days, 2 instruments, 1 round")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.days, arguments.instruments, arguments.rounds = 100, 2, 1
    if arguments.days <= KEPT_DAYS or arguments.instruments < 2:
        parser.error(f"--days must be above {KEPT_DAYS} and --instruments at least 2")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with benchmark_server() as server:
        database = make_database(server, "backtest")
        show(run(database, arguments.days, arguments.instruments, arguments.rounds), as_json=arguments.json)


def run(database: Database, days: int, instruments: int, rounds: int) -> Report:
    fill(database, days, instruments)
    end = moment(days * DAY_MINUTES - 1)
    kept = moment((days - KEPT_DAYS) * DAY_MINUTES)
    year = Subject("prices", 1, START - timedelta(minutes=1), end, kept)
    form = Subject("prices", instruments, end - timedelta(days=FORM_DAYS), end, kept)
    rows = measure(database, "year of prices", year, rounds)
    form_rows = measure(database, "30 days for the form", form, rounds)
    drop_old(database, days)
    minutes = measure(database, "year of minutes", Subject("minutes", 1, year.start, end, kept), rounds)
    slowest = max(float(str(row["database s"])) for row in rows + minutes)
    slowest_form = max(float(str(row["ours s"])) for row in form_rows)
    goals = [
        Goal(
            f"database seconds of the slowest rule over {days} days: under {GOAL_SECONDS:g}",
            slowest,
            slowest < GOAL_SECONDS,
        ),
        Goal(
            f"seconds of the slowest rule of the form: under {FORM_GOAL_SECONDS:g}",
            slowest_form,
            slowest_form < FORM_GOAL_SECONDS,
        ),
    ]
    notes = [
        f"medians of {rounds} rounds; {instruments} instruments share the tables",
        "over scan: database s / scan s; fetch and pandas: into a frame, and evaluated to a list of times",
    ]
    return Report(
        "backtest",
        f"Backtest of one rule over {days} days of one-minute prices",
        rows + minutes + form_rows,
        goals,
        notes,
    )


def fill(database: Database, days: int, instruments: int) -> None:
    say("filling")
    engine = database.engine()
    ensure_partitions(engine, {moment(day * DAY_MINUTES).date() for day in range(-2, days)})

    def fill_day(span: tuple[int, int]) -> None:
        with database.admin() as connection:
            connection.execute(INSERT, {"start": START, "first": span[0], "last": span[1], "instruments": instruments})

    run_all(fill_day, [(day * DAY_MINUTES, (day + 1) * DAY_MINUTES) for day in range(days)], "days of prices")
    with database.admin() as connection:
        connection.execute(MARK_STALE, [START, moment(days * DAY_MINUTES - 1)])
    say("making candles")
    refresh_candles(engine)
    engine.dispose()
    settle(database)


def drop_old(database: Database, days: int) -> None:
    """Drop old prices as retention does: only their minute candles remain."""
    with database.admin() as connection:
        for day in range(-2, days - KEPT_DAYS):
            connection.execute("SELECT drop_price_partition(%s)", [moment(day * DAY_MINUTES).date()])
    settle(database)


def measure(database: Database, title: str, subject: Subject, rounds: int) -> list[Row]:
    engine = create_engine(database.url)
    rows = []
    for rule in RULES:
        say(f"{title}: {rule.kind} {format_duration(rule.window_seconds) if rule.window_seconds else ''}")
        spent = Spent()
        for number in range(rounds + 1):
            alerts, quotes = _round(engine, rule, subject, spent if number else Spent())
        middle = {name: statistics.median(seconds) for name, seconds in vars(spent).items()}
        rows.append(
            {
                "subject": title,
                "kind": rule.kind,
                "window": format_duration(rule.window_seconds) if rule.window_seconds else "-",
                "values": quotes,
                "alerts": alerts,
                "ours s": middle["ours"],
                "database s": middle["database"],
                "scan s": middle["scan"],
                "over scan": middle["database"] / middle["scan"],
                "fetch s": middle["fetch"],
                "pandas s": middle["pandas"],
            }
        )
    engine.dispose()
    return rows


def _round(engine: sa.Engine, rule: Rule, subject: Subject, spent: Spent) -> tuple[int, int]:
    given = {"id": subject.instrument, "start": subject.start, "end": subject.end, "kept": subject.kept}
    rows = ROWS[subject.source]
    with _statement_seconds() as statements:
        seconds, past = _timed(
            lambda: backtest(
                engine, rule, f"C{subject.instrument}", EXCHANGE, "USD", start=subject.start, end=subject.end
            )
        )
    spent.ours.append(seconds)
    spent.database.append(sum(statements))
    with engine.connect() as connection:
        scan = sa.text(f"SELECT count(*), avg(value) FROM ({rows}) values_read")
        seconds, counted = _timed(lambda: connection.execute(scan, given).one())
        spent.scan.append(seconds)
        seconds, frame = _timed(lambda: _fetch(connection, rows, given))
        spent.fetch.append(seconds)
    seconds, alerts = _timed(lambda: expected(frame, rule))
    spent.pandas.append(seconds)
    if counted[0] != past.quotes:
        raise RuntimeError(f"the scan reads {counted[0]:,} rows, the backtest {past.quotes:,}")
    # For the form, pandas lacks the values before the 30 days, so the first alerts may differ.
    ours = [alert.observed_at for alert in past.alerts]
    # A minute's close counts at the end of its minute, so the last one of an hour is in that hour's candle already.
    exact = subject.start < START and (subject.source == "prices" or rule.kind not in EXTREMES)
    if exact and ours != alerts:
        raise RuntimeError(f"{rule}: {len(ours)} alerts, {len(alerts)} by pandas")
    return len(ours), past.quotes


def _fetch(connection: sa.Connection, rows: str, given: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(connection.execute(sa.text(rows), given).all(), columns=["at", "price"])
    return frame.assign(at=frame["at"].astype("datetime64[us, UTC]"), run=0)


@contextmanager
def _statement_seconds() -> Iterator[list[float]]:
    """The seconds of each statement of any engine, while the context lasts."""
    seconds: list[float] = []

    def before(*arguments: Any) -> None:
        arguments[4]._began = time.perf_counter()

    def after(*arguments: Any) -> None:
        seconds.append(time.perf_counter() - arguments[4]._began)

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    sa.event.listen(sa.Engine, "after_cursor_execute", after)
    try:
        yield seconds
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", before)
        sa.event.remove(sa.Engine, "after_cursor_execute", after)


def _timed(do: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = do()
    return time.perf_counter() - began, found


if __name__ == "__main__":
    main()
