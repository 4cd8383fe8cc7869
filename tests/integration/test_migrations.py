"""The schema is what the migrations say, whoever runs them and however often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from coinwatch.database import create_engine, transaction
from coinwatch.errors import DatabaseError
from coinwatch.migrations import MIGRATIONS, migrate, setup_database
from coinwatch.pipeline import store_alerts
from tests.conftest import ROLES, Database
from tests.support.postgres import PostgresServer


def test_two_migrations_at_once_run_each_step_once(postgres: PostgresServer, template: str) -> None:
    name = "migrated_twice"
    setup_database(postgres.url("postgres"), *(postgres.url(name, ROLES[role]) for role in ("owner", "app", "reader")))
    engines = [create_engine(postgres.url(name, "coinwatch_owner")) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        ran = list(pool.map(migrate, engines))
    assert sorted(ran, key=len) == [[], ["0001", "0002", "0003", "0004", "0005", "0006"]]
    for engine in engines:
        engine.dispose()


def test_alerts_told_and_untold_stay_what_they_are_when_mails_get_their_person(
    postgres: PostgresServer, template: str
) -> None:
    name = "migrated_with_alerts"
    setup_database(postgres.url("postgres"), *(postgres.url(name, ROLES[role]) for role in ("owner", "app", "reader")))
    engine = create_engine(postgres.url(name, "coinwatch_owner"))
    with transaction(engine) as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0003")
        for line in BEFORE_0004:
            connection.execute(sa.text(line))
    assert migrate(engine) == ["0004", "0005", "0006"]
    with transaction(engine) as connection:
        alerts = connection.execute(sa.text("SELECT id, state, outbox_id FROM alerts ORDER BY id")).all()
        assert alerts == [(1, "told", 1), (2, "new", None)]
        assert connection.execute(sa.text("SELECT recipient, user_id FROM outbox")).all() == [("Ada@example.org", 1)]
    store_alerts(engine, datetime(2026, 3, 1, 13, tzinfo=UTC))
    with transaction(engine) as connection:
        told = connection.execute(sa.text("SELECT payload -> 'alerts' -> 0 ->> 'alert_id' FROM outbox WHERE id > 2"))
        assert told.scalars().all() == ["2"]
    engine.dispose()


BEFORE_0004 = (
    "INSERT INTO exchanges (code, name) VALUES ('kraken', 'Kraken')",
    "INSERT INTO coins (code, name, position) VALUES ('BTC', 'Bitcoin', 1)",
    "INSERT INTO instruments (exchange_id, base, quote, symbol) SELECT id, 'BTC', 'USD', 'XBT/USD' FROM exchanges",
    "INSERT INTO users (email, verified_at, created_at) VALUES ('ada@example.org', '2026-03-01', '2026-03-01')",
    """INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, status, active_from, created_at)
       SELECT 1, id, 'change_since_last', 'either', 5, 'active', '2026-03-01', '2026-03-01' FROM instruments""",
    """INSERT INTO outbox (dedupe_key, recipient, kind, payload, next_attempt_at, created_at)
       SELECT 'alerts:' || email, email, 'alerts', '{}', '2026-03-01', '2026-03-01'
       FROM unnest(ARRAY['Ada@example.org', 'nobody@example.org']) email""",
    """INSERT INTO alerts (subscription_id, observed_at, price, reference, change_percent, created_at, outbox_id)
       VALUES (1, '2026-03-01 12:00Z', 105, 100, 5, '2026-03-01 12:00Z', 1),
              (1, '2026-03-01 12:03Z', 100, 105, -5, '2026-03-01 12:03Z', NULL)""",
)


def test_the_reader_sees_views_and_neither_addresses_nor_writes(database: Database) -> None:
    with psycopg.connect(database.url("reader")) as connection:
        connection.execute("SELECT * FROM latest_prices").fetchall()
    for forbidden in (
        "SELECT * FROM users",
        "SELECT * FROM outbox",
        "SELECT * FROM subscriptions",
        "SELECT * FROM prices",
    ):
        with psycopg.connect(database.url("reader")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(forbidden)
    with psycopg.connect(database.url("reader")) as connection, pytest.raises(psycopg.Error):
        connection.execute("CREATE TABLE mine (id int)")


def test_the_application_cannot_change_the_schema(database: Database) -> None:
    with psycopg.connect(database.url("app")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DROP TABLE prices")
    with psycopg.connect(database.url("app")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE mine (id int)")


def test_partitions_are_made_once_and_split_at_midnight_utc(engine: sa.Engine) -> None:
    make = sa.text("SELECT create_price_partitions('2026-01-01', '2026-01-03')")
    with transaction(engine) as connection:
        assert connection.execute(make).scalar_one() == 3
        assert connection.execute(make).scalar_one() == 0
        for moment in ("2026-01-01 23:59:59.999999+00", "2026-01-02 00:00:00+00"):
            connection.execute(
                sa.text("INSERT INTO prices (instrument_id, observed_at, price, received_at) VALUES (1, :at, 1, :at)"),
                {"at": moment},
            )
        rows = connection.execute(sa.text("SELECT tableoid::regclass::text FROM prices ORDER BY observed_at"))
        assert [row[0] for row in rows] == ["prices_20260101", "prices_20260102"]


def test_a_database_without_our_tables_says_what_to_run(postgres: PostgresServer) -> None:
    engine = create_engine(postgres.url("postgres"))
    with pytest.raises(DatabaseError, match="coinwatch migrate"), transaction(engine) as connection:
        connection.execute(sa.text("SELECT * FROM prices"))
    engine.dispose()


def test_a_database_that_is_down_is_named_without_its_password() -> None:
    engine = create_engine("postgresql://someone:hush@127.0.0.1:1/coinwatch")
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1/coinwatch") as caught, transaction(engine):
        pass
    assert "hush" not in str(caught.value)
