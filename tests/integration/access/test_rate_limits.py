"""Rate limits in Postgres: exact, shared by all server processes, and without addresses."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from coinwatch.access.rate_limits import Limit, count_call, delete_expired
from coinwatch.database import create_engine
from coinwatch.settings import Settings
from tests.conftest import Database
from tests.support.quotes import at
from tests.support.settings import make_settings

TWO_A_MINUTE = Limit("calls", ((2, timedelta(minutes=1)), (3, timedelta(hours=1))))


def waits(
    engine: sa.Engine, settings: Settings, caller: str, *minutes: float, limit: Limit = TWO_A_MINUTE
) -> list[float]:
    """How many seconds the caller of each call has to wait."""
    found = (count_call(engine, settings, limit, caller, at(minute)) for minute in minutes)
    return [wait.total_seconds() if wait else 0.0 for wait in found]


def test_calls_beyond_a_limit_wait_until_the_oldest_leaves_the_period(engine: sa.Engine, settings: Settings) -> None:
    assert waits(engine, settings, "192.0.2.1", 0, 0.5, 0.75, 0.75, 1) == [0, 0, 15, 15, 0]
    assert waits(engine, settings, "192.0.2.1", 2, 60, 60) == [58 * 60, 0, 30]


def test_callers_and_kinds_of_calls_are_counted_separately(engine: sa.Engine, settings: Settings) -> None:
    assert waits(engine, settings, "192.0.2.1", 0, 0, 0) == [0, 0, 60]
    assert waits(engine, settings, "192.0.2.2", 0) == [0]
    assert waits(engine, settings, "192.0.2.1", 0, limit=Limit("others", ((1, timedelta(minutes=1)),))) == [0]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_ipv6_addresses_count_per_network(
    engine: sa.Engine, settings: Settings, first: str, second: str, same: bool
) -> None:
    once = Limit("calls", ((1, timedelta(minutes=1)),))
    assert waits(engine, settings, first, 0, limit=once) == [0]
    assert waits(engine, settings, second, 0, limit=once) == [60 if same else 0]


def test_concurrent_processes_count_together(database: Database, settings: Settings) -> None:
    engines = [create_engine(database.url("app")) for _ in range(4)]
    limit = Limit("calls", ((7, timedelta(minutes=1)),))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: count_call(engines[n % 4], settings, limit, "192.0.2.1", at(0)), range(40)))
    assert results.count(None) == 7
    for engine in engines:
        engine.dispose()


def test_addresses_are_stored_as_keyed_hashes(engine: sa.Engine, settings: Settings) -> None:
    count_call(engine, settings, TWO_A_MINUTE, "192.0.2.1", at(0))
    count_call(engine, make_settings(secret_key="another-key-than-before"), TWO_A_MINUTE, "192.0.2.1", at(0))
    with engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT r::text AS text, caller FROM rate_limits r")).all()
    assert len({bytes(row.caller) for row in rows}) == 2
    assert not [row for row in rows if "192" in row.text]


def test_calls_that_no_limit_counts_any_more_are_deleted(engine: sa.Engine, settings: Settings) -> None:
    count_call(engine, settings, TWO_A_MINUTE, "192.0.2.1", at(0))
    assert delete_expired(engine, at(59)) == 0
    assert delete_expired(engine, at(60)) == 1
