"""A million subscriptions on 1,000 instruments, made by the server: every thousandth part of them fires.

Prices go up by 5 % and back again, minute by minute. On the way up a subscription of every instrument fires, whatever
the number of the others; on the way down none does, and standing conditions are armed again. Those that fire lie
evenly spread over the table and belong to different people, who have ten subscriptions each.
"""

from datetime import timedelta

from benchmarks.shared.market import INSTRUMENTS, START, instruments
from benchmarks.shared.postgres import Database
from coinwatch.exchanges.models import Quote
from coinwatch.prices.ingest.loading import load_quotes
from coinwatch.prices.ingest.partitions import ensure_partitions

KINDS = ("change_since_last", "change_over_window", "deviation_from_average", "crosses")
# A value so many minutes back stands on the other side, whichever the minute.
WINDOWS = (300, 60, 900)
MIX, HALF_DISARMED = "all kinds, 3 windows", "all kinds, half of the standing disarmed"
SCENARIOS = (*KINDS, MIX, HALF_DISARMED)
HITS = INSTRUMENTS
PEOPLE_PER_HIT = 100  # a tenth of the subscriptions
PARTITIONS = 100
HISTORY_MINUTES = 30
RISE = 1.05

EMPTY = (
    "TRUNCATE users, subscriptions, alerts, outbox, evaluation_watermarks, latest_quotes, prices, stale_candles CASCADE"
)
INDEXES = """
SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
WHERE x.indrelid = 'subscriptions'::regclass AND NOT x.indisprimary
"""
PEOPLE = """
INSERT INTO users (id, email, verified_at, created_at) OVERRIDING SYSTEM VALUE
SELECT n, 'person' || n || '@example.org', %(start)s, %(start)s FROM generate_series(1, %(people)s) n
"""
SUBSCRIPTIONS = """
INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, window_seconds, cooldown_seconds, armed,
                           status, active_from, created_at)
SELECT 1 + (n + n / %(people)s) %% %(people)s, i, kind,
       CASE WHEN fires THEN 'up' WHEN stands THEN 'either' ELSE (ARRAY['up', 'down', 'either'])[1 + n / 7 %% 3] END,
       CASE WHEN kind = 'crosses' THEN (100 + i) * CASE WHEN fires THEN 1.02 ELSE 2 + n %% 9973 / 1000.0 END
            WHEN fires THEN 2
            WHEN stands THEN 0.1 + n %% 9973 / 10000.0
            ELSE 10 + n %% 9973 / 100.0 END,
       CASE WHEN standing THEN (%(windows)s::integer[])[1 + spread / 4 %% cardinality(%(windows)s::integer[])] ELSE 0
       END,
       60, NOT stands, 'active', %(start)s, %(start)s
FROM (
  SELECT *, kind IN ('change_over_window', 'deviation_from_average') AS standing,
         NOT fires AND %(half)s AND kind IN ('change_over_window', 'deviation_from_average') AND n %% 2 = 0 AS stands
  FROM (
    SELECT n, fires, spread, CASE WHEN fires THEN n / %(apart)s ELSE 1 + n * 7919::bigint %% 1000 END AS i,
           (%(kinds)s::text[])[1 + spread %% cardinality(%(kinds)s::text[])] AS kind
    FROM (
      SELECT n, n %% %(apart)s = 0 AS fires, CASE WHEN n %% %(apart)s = 0 THEN n / %(apart)s ELSE n / 1000 END AS spread
      FROM generate_series(1, %(size)s) n
    ) numbered
  ) placed
) made
"""
WATERMARKS = """
INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to, last_value, last_at)
SELECT instrument_id, 'price', observed_at, price, observed_at FROM latest_quotes
"""


def fill(database: Database, scenario: str, size: int) -> None:
    """So many subscriptions, and prices up to the minute ``HISTORY_MINUTES``, judged."""
    parameters = {
        "start": START,
        "size": size,
        "apart": size // HITS,
        "people": size // HITS * PEOPLE_PER_HIT,
        "kinds": [scenario] if scenario in KINDS else list(KINDS),
        "windows": list(WINDOWS[:1] if scenario in KINDS else WINDOWS),
        "half": scenario == HALF_DISARMED,
    }
    engine = database.engine()
    ensure_partitions(engine, {(START - timedelta(days=days)).date() for days in range(PARTITIONS)})
    with database.admin() as connection:
        connection.execute(EMPTY)
        connection.execute("SET session_replication_role = replica")  # no look-up of every row's person and instrument
        connection.execute(PEOPLE, parameters)
        indexes = connection.execute(INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(SUBSCRIPTIONS, parameters)
        for _, definition in indexes:
            connection.execute(definition)  # type: ignore[call-overload]
    for minute in range(HISTORY_MINUTES + 1):
        load(database, minute)
    with database.admin() as connection:
        connection.execute(WATERMARKS)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    engine.dispose()


def load(database: Database, minute: int) -> None:
    """One new quote of every instrument."""
    moment = START + timedelta(minutes=minute)
    made = [
        Quote(listed, price_at(number, minute), moment, moment, volume_24h=1000.0)
        for number, listed in enumerate(instruments(), 1)
    ]
    engine = database.engine()
    load_quotes(engine, database.ids, made, now=moment, max_age=timedelta(days=1))
    engine.dispose()


def price_at(instrument: int, minute: int) -> float:
    """High in odd minutes, low in even ones."""
    return (100 + instrument) * (RISE if rises(minute) else 1)


def rises(minute: int) -> bool:
    return minute % 2 == 1
