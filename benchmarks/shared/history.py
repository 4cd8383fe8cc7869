"""Months of prices and their candles, generated in the database: a quote of every instrument every 3 minutes.

They always end at ``NOW``: more history only means an earlier start. Prices are inserted day by day in order of time,
as collection stores them; candles are made by coinwatch's own refresh.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise

from benchmarks.shared.market import INSTRUMENTS, PRICE, START, VOLUME
from benchmarks.shared.postgres import Database
from benchmarks.shared.report import say
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.ingest.partitions import ensure_partitions

CYCLE_MINUTES = 3
NOW = START + timedelta(days=300, hours=12)
NOW_MINUTE = round((NOW - START).total_seconds() / 60)
DAY_MINUTES = 1440
# Without bid and ask, as from some exchanges: they would double the size of a row without effect.
INSERT_PRICES = f"""
INSERT INTO prices (instrument_id, observed_at, price, volume_24h, received_at)
SELECT i, moment, price, volume, moment FROM (
  SELECT i, n, %(start)s + n * interval '1 minute' AS moment, {PRICE.replace("%", "%%")} AS price,
         {VOLUME.replace("%", "%%")} AS volume
  FROM generate_series(%(first)s::bigint, %(last)s::bigint - 1, {CYCLE_MINUTES}) n, generate_series(1, {INSTRUMENTS}) i
  ORDER BY n, i
) made
"""
MARK_STALE = f"""
INSERT INTO stale_candles (instrument_id, first_at, last_at)
SELECT i, %(start)s + %(first)s * interval '1 minute', %(start)s + (%(last)s - {CYCLE_MINUTES}) * interval '1 minute'
FROM generate_series(1, {INSTRUMENTS}) i
"""
KEEP_LATEST = f"""
INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, received_at)
SELECT p.instrument_id, p.observed_at, p.price, p.volume_24h, p.received_at FROM prices p
WHERE p.observed_at = %(start)s + (%(now)s - {CYCLE_MINUTES}) * interval '1 minute'
ON CONFLICT DO NOTHING
"""
WORKERS = 2


def first_minute(rows: int) -> int:
    """The minute at which a history of this many rows starts."""
    return NOW_MINUTE - round(rows / INSTRUMENTS) * CYCLE_MINUTES


def fill(database: Database, rows: int) -> None:
    """Insert ``rows`` prices and make their candles."""
    days = fill_prices(database, rows)
    say("making candles")
    with database.admin() as connection:
        # The newest mark is processed first: in this order, that is the oldest day, as it would be over the months.
        for begin, end in reversed(days):
            connection.execute(MARK_STALE, {"start": START, "first": begin, "last": end})
    engine = database.engine()
    refresh_candles(engine)
    engine.dispose()
    settle(database)


def fill_prices(database: Database, rows: int) -> list[tuple[int, int]]:
    """Insert prices only; returns the days as half-open ranges of minutes."""
    days = days_of(first_minute(rows), NOW_MINUTE)
    engine = database.engine()
    ensure_partitions(engine, {moment(begin).date() for begin, _ in days})
    engine.dispose()
    run_all(lambda day: _fill_day(database, *day), days, "days of prices")
    with database.admin() as connection:
        connection.execute(KEEP_LATEST, {"start": START, "now": NOW_MINUTE})
    return days


def settle(database: Database) -> None:
    """Vacuum as autovacuum would have over the months, so that it does not start during the measurement."""
    say("vacuum")
    with database.admin() as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def days_of(first: int, last: int) -> list[tuple[int, int]]:
    """The minutes from ``first`` to ``last``, split at midnight."""
    midnights = range(-(-(first + 1) // DAY_MINUTES) * DAY_MINUTES, last, DAY_MINUTES)
    return list(pairwise([first, *midnights, last]))


def run_all(do: Callable[[tuple[int, int]], object], work: Sequence[tuple[int, int]], what: str) -> None:
    """Run all the work on WORKERS connections."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for done, _ in enumerate(pool.map(do, work), 1):
            if done % 20 == 0 or done == len(work):
                say(f"{done} of {len(work)} {what}")


def moment(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def _fill_day(database: Database, first: int, last: int) -> None:
    with database.admin() as connection:
        connection.execute(INSERT_PRICES, {"start": START, "first": first, "last": last})
