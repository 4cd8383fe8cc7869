"""The migrations, the roles, and the functions they create."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from coinwatch.database import create_engine, transaction
from coinwatch.errors import DatabaseError
from coinwatch.migrations import MIGRATIONS, migrate, setup_database
from tests.conftest import ROLES, Database
from tests.support.postgres import PostgresServer


def test_concurrent_migrations_run_each_revision_once(postgres: PostgresServer, template: str) -> None:
    name = "migrated_twice"
    setup_database(postgres.url("postgres"), *(postgres.url(name, ROLES[role]) for role in ("owner", "app", "reader")))
    engines = [create_engine(postgres.url(name, "coinwatch_owner")) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        ran = sorted(pool.map(migrate, engines), key=len)
    revisions = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]
    assert ran == [[], revisions]
    for engine in engines:
        engine.dispose()


def test_every_migration_has_one_sql_file_of_the_same_name() -> None:
    versions = MIGRATIONS / "versions"
    assert {path.stem for path in versions.glob("*.py")} == {path.stem for path in versions.glob("*.sql")}


def test_reader_role_can_only_read_views(database: Database) -> None:
    with psycopg.connect(database.url("reader")) as connection:
        connection.execute("SELECT * FROM latest_prices").fetchall()
    for table in ("users", "outbox", "subscriptions", "prices"):
        with psycopg.connect(database.url("reader")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT * FROM {table}")
    with psycopg.connect(database.url("reader")) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE mine (id int)")


@pytest.mark.parametrize("statement", ["DROP TABLE prices", "CREATE TABLE mine (id int)"])
def test_application_role_cannot_change_the_schema(database: Database, statement: str) -> None:
    with psycopg.connect(database.url("app")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_price_partitions_are_created_once_and_split_at_midnight_utc(engine: sa.Engine) -> None:
    create = sa.text("SELECT create_price_partitions('2026-01-01', '2026-01-03')")
    with transaction(engine) as connection:
        assert connection.execute(create).scalar_one() == 3
        assert connection.execute(create).scalar_one() == 0
        for moment in ("2026-01-01 23:59:59.999999+00", "2026-01-02 00:00:00+00"):
            connection.execute(
                sa.text("INSERT INTO prices (instrument_id, observed_at, price, received_at) VALUES (1, :at, 1, :at)"),
                {"at": moment},
            )
        rows = connection.execute(sa.text("SELECT tableoid::regclass::text FROM prices ORDER BY observed_at"))
        assert [row[0] for row in rows] == ["prices_20260101", "prices_20260102"]


def test_missing_tables_are_reported_with_the_command_that_creates_them(postgres: PostgresServer) -> None:
    engine = create_engine(postgres.url("postgres"))
    with pytest.raises(DatabaseError, match="coinwatch migrate"), transaction(engine) as connection:
        connection.execute(sa.text("SELECT * FROM prices"))
    engine.dispose()


def test_unreachable_database_is_reported_without_its_password() -> None:
    engine = create_engine("postgresql://someone:hush@127.0.0.1:1/coinwatch")
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1/coinwatch") as caught, transaction(engine):
        pass
    assert "hush" not in str(caught.value)
