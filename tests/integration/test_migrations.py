"""The schema is what the migrations say, whoever runs them and however often."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa

from coinwatch.database import create_engine, transaction
from coinwatch.errors import DatabaseError
from coinwatch.migrations import migrate, setup_database
from tests.conftest import ROLES, Database
from tests.support.postgres import PostgresServer


def test_two_migrations_at_once_run_each_step_once(postgres: PostgresServer, template: str) -> None:
    name = "migrated_twice"
    setup_database(postgres.url("postgres"), *(postgres.url(name, ROLES[role]) for role in ("owner", "app", "reader")))
    engines = [create_engine(postgres.url(name, "coinwatch_owner")) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        ran = list(pool.map(migrate, engines))
    assert sorted(ran, key=len) == [[], ["0001", "0002", "0003", "0004"]]
    for engine in engines:
        engine.dispose()


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
