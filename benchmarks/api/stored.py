"""Just over a day of one-minute prices of each instrument, up to the current minute, and a loader that adds more."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from benchmarks.shared.history import moment, settle
from benchmarks.shared.market import PRICE, START, VOLUME, instruments, quotes
from benchmarks.shared.postgres import Database
from coinwatch.prices.ingest.loading import load_quotes
from coinwatch.prices.ingest.partitions import ensure_partitions

STORED_MINUTES = 26 * 60  # the change over 24 hours is measured from a price up to 25 hours old
LOADING_SECONDS = 1.0
FEWER_INSTRUMENTS = "DELETE FROM instruments WHERE id > %(count)s; DELETE FROM coins WHERE position > %(count)s"
INSERT_PRICES = f"""
INSERT INTO prices (instrument_id, observed_at, price, volume_24h, received_at)
SELECT i, moment, price, volume, moment FROM (
  SELECT i, n, %(start)s + n * interval '1 minute' AS moment, {PRICE.replace("%", "%%")} AS price,
         {VOLUME.replace("%", "%%")} AS volume
  FROM generate_series(%(last)s - {STORED_MINUTES} + 1, %(last)s::bigint) n, generate_series(1, %(count)s) i
  ORDER BY n, i
) made
"""
KEEP_LATEST = """
INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, received_at)
SELECT instrument_id, observed_at, price, volume_24h, received_at FROM prices WHERE observed_at = %s
"""


def fill(database: Database, count: int) -> datetime:
    """Store the prices of ``count`` instruments; return the time of the newest ones."""
    last = round((datetime.now(UTC) - START) // timedelta(minutes=1))
    newest = moment(last)
    engine = database.engine()
    days = {(newest - timedelta(minutes=minutes)).date() for minutes in range(0, STORED_MINUTES, 60)}
    ensure_partitions(engine, days | {(newest + timedelta(days=1)).date()})
    engine.dispose()
    with database.admin() as connection:
        for statement in FEWER_INSTRUMENTS.split("; "):
            connection.execute(statement, {"count": count})
        connection.execute(INSERT_PRICES, {"start": START, "last": last, "count": count})
        connection.execute(KEEP_LATEST, [newest])
    settle(database)
    return newest


@contextmanager
def loading(database: Database, count: int) -> Iterator[None]:
    """Load a new quote of each of ``count`` instruments every second, until the end of the block."""
    stopping = threading.Event()
    thread = threading.Thread(target=_load, args=(database, count, stopping))
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _load(database: Database, count: int, stopping: threading.Event) -> None:
    engine, ids = database.engine(), dict(zip(instruments(), range(1, count + 1), strict=False))
    while not stopping.wait(LOADING_SECONDS):
        now = datetime.now(UTC)
        new = [quote for quote in quotes(0, 1, start=now) if quote.instrument in ids]
        load_quotes(engine, ids, new, now=now, max_age=timedelta(minutes=5))
    engine.dispose()
