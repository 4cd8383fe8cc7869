"""The same 10,000 rules as subscriptions of 10,000 users, and a cycle of ours."""

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks.alertmanager.gauges import level_of, price_at
from benchmarks.shared.market import INSTRUMENTS, START, instruments
from benchmarks.shared.postgres import Database
from benchmarks.sink import Sink
from coinwatch.exchanges.models import Quote
from coinwatch.mail.delivery import deliver_emails
from coinwatch.pipeline import store_alerts
from coinwatch.prices.ingest.loading import load_quotes
from tests.support.settings import make_settings

USERS = """
INSERT INTO users (id, email, verified_at, created_at) OVERRIDING SYSTEM VALUE
SELECT n, 'user' || n || '@example.org', %(start)s, %(start)s FROM generate_series(1, %(rules)s) n
"""
SUBSCRIBE = """
INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, status, active_from, created_at)
VALUES (%s, %s, 'crosses', 'up', %s, 'active', %s, %s)
"""
WATERMARKS = """
INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to, last_value, last_at)
SELECT instrument_id, 'price', observed_at, price, observed_at FROM latest_quotes
"""


@dataclass
class Cycle:
    """Seconds of each step."""

    load: float
    evaluate: float
    deliver: float


class Ours:
    """``cycle`` loads a quote of every instrument, evaluates and delivers, one after the other."""

    def __init__(self, database: Database, sink: Sink, rules: int) -> None:
        self._database = database
        self._engine: sa.Engine = database.engine()
        self._settings = make_settings(smtp_url=sink.url)
        self._minute = 0
        with database.admin() as connection:
            connection.execute(USERS, {"start": START, "rules": rules})
            with connection.cursor() as cursor:
                cursor.executemany(SUBSCRIBE, [(rule, *level_of(rule), START, START) for rule in range(1, rules + 1)])
        self._load(range(0))
        with database.admin() as connection:
            connection.execute(WATERMARKS)
            connection.execute("VACUUM (ANALYZE)")
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            self.postgres_pid = _parent(int(str(row[0]))) if row else 0

    def cycle(self, risen: range) -> Cycle:
        """Run a cycle in which the prices of these instruments are high and all others low."""
        began = time.perf_counter()
        self._load(risen)
        loaded = time.perf_counter()
        now = START + timedelta(minutes=self._minute)
        store_alerts(self._engine, now)
        evaluated = time.perf_counter()
        deliver_emails(self._engine, self._settings, clock=lambda: now)
        return Cycle(loaded - began, evaluated - loaded, time.perf_counter() - evaluated)

    def close(self) -> None:
        self._engine.dispose()

    def _load(self, risen: range) -> None:
        self._minute += 1
        moment = START + timedelta(minutes=self._minute)
        made = [
            Quote(instrument, price_at(number, risen=number in risen), moment, moment)
            for number, instrument in enumerate(instruments(), 1)
        ]
        loaded = load_quotes(self._engine, self._database.ids, made, now=moment, max_age=timedelta(days=1))
        if loaded.inserted != INSTRUMENTS:
            raise RuntimeError(f"unexpected result of a cycle: {loaded}")


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
