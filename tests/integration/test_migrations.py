"""The migrations, the roles, and the functions they create."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from coinwatch.database import Lock, acquire_lock, create_engine, end_long_reader_sessions, transaction
from coinwatch.errors import DatabaseError
from coinwatch.migrations import MIGRATIONS, READER_CONNECTIONS, migrate, setup_database
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


def test_upgrade_from_the_first_release_keeps_its_data(postgres: PostgresServer) -> None:
    name = "upgraded"
    setup_database(postgres.url("postgres"), *(postgres.url(name, ROLES[role]) for role in ("owner", "app", "reader")))
    with psycopg.connect(postgres.url(name, ROLES["owner"])) as connection:
        connection.execute((MIGRATIONS / "versions" / "0001_baseline.sql").read_bytes())
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        connection.execute(
            "INSERT INTO users (email, created_at) SELECT n || '@example.org', now() FROM generate_series(1, 1000) n"
        )
        connection.execute("SELECT create_price_partitions('2026-01-01', '2026-01-02')")
        connection.execute(
            "INSERT INTO prices (instrument_id, observed_at, price, received_at)"
            " SELECT 1, '2026-01-01 00:00+00'::timestamptz + n * interval '1 minute', n, now()"
            " FROM generate_series(1, 2000) n"
        )
    owner = create_engine(postgres.url(name, ROLES["owner"]))
    migrate(owner, price_retention_days=90)
    owner.dispose()
    app = create_engine(postgres.url(name, ROLES["app"]))
    with transaction(app) as connection:
        keys = connection.execute(sa.text("SELECT count(DISTINCT link_key), max(link_version) FROM users")).one()
        assert tuple(keys) == (1000, 0)
        assert connection.execute(sa.text("SELECT count(*) FROM prices")).scalar_one() == 2000
    assert _drop(app, [date(2026, 1, 1), date(2026, 1, 2)]) == ["dropped", "dropped"]
    app.dispose()


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


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_advisory_lock(4701226)",
        "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'data')",
        "LOCK TABLE lock_evaluation IN SHARE MODE",
        "LOCK TABLE lock_partitions IN EXCLUSIVE MODE",
        "SET temp_file_limit = -1",
        "SELECT end_long_reader_sessions()",
    ],
)
def test_reader_role_cannot_hold_locks_or_store_anything(database: Database, statement: str) -> None:
    with psycopg.connect(database.url("reader")) as connection:
        connection.execute("SET TRANSACTION READ WRITE")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_reader_role_has_limited_connections(database: Database) -> None:
    with psycopg.connect(database.url("admin")) as connection:
        query = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'coinwatch_reader'"
        assert connection.execute(query).fetchone() == (READER_CONNECTIONS,)


def test_reader_sessions_cannot_outlast_their_limits(engine: sa.Engine, database: Database) -> None:
    """A reader may change its own time limits; the next cycle ends what exceeds the enforced ones."""
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        body = admin.execute("SELECT pg_get_functiondef('end_long_reader_sessions'::regproc)").fetchone()
        assert body is not None
        admin.execute(body[0].replace("1 minute", "1 second").replace("5 minutes", "2 seconds").encode())
    assert end_long_reader_sessions(engine) == 0
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(_read_for, database.url("reader"), sql) for sql in ("SELECT pg_sleep(60)", "SELECT 1")]
        harmless = psycopg.connect(database.url("app"))
        harmless.execute("SELECT 1")
        time.sleep(2.5)
        assert end_long_reader_sessions(engine) == 2
        for reader in running:
            with pytest.raises(psycopg.OperationalError):
                reader.result(timeout=30)
        assert harmless.execute("SELECT 1").fetchone() == (1,)
        harmless.close()


def _read_for(url: str, query: str) -> None:
    """Override all limits of the role, read, and keep the transaction open."""
    with psycopg.connect(url) as connection:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            connection.execute(f"SET {name} = 0".encode())
        connection.execute(query.encode())
        time.sleep(4)
        connection.execute(query.encode())


@pytest.mark.parametrize(
    "roles", [("my_owner", "my_app", "my_reader"), ("only", "only", "only"), ("coinwatch_owner", "my_app", "my_app")]
)
def test_roles_may_have_any_name(postgres: PostgresServer, roles: tuple[str, str, str]) -> None:
    name = f"of-{roles[1]}-{roles[2]}"
    urls = [postgres.url(name, role) for role in roles]
    for _ in range(2):
        setup_database(postgres.url("postgres"), *urls)
        owner = create_engine(urls[0])
        migrate(owner, price_retention_days=90)
        owner.dispose()
    app, reader = create_engine(urls[1]), create_engine(urls[2])
    assert end_long_reader_sessions(app) == 0
    with transaction(app) as connection:
        acquire_lock(connection, Lock.EVALUATION)
        connection.execute(sa.text("INSERT INTO users (email, created_at) VALUES ('a@b.example', now())"))
    with transaction(reader) as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM latest_prices")).scalar_one() == 0
    app.dispose()
    reader.dispose()


def test_missing_privilege_is_reported_with_the_commands_that_grant_it(database: Database) -> None:
    reader = create_engine(database.url("reader"))
    with pytest.raises(DatabaseError, match="coinwatch setup-database"), transaction(reader) as connection:
        connection.execute(sa.text("SELECT * FROM users"))
    reader.dispose()


def test_migrations_do_not_wait_long_for_locks(
    engine: sa.Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everyone else would wait behind them, for example while a backup runs."""
    monkeypatch.setattr("coinwatch.migrations.MIGRATION_LOCK_TIMEOUT", "100ms")
    owner = create_engine(database.url("owner"))
    with psycopg.connect(database.url("admin")) as backup:
        backup.execute("LOCK TABLE price_retention IN SHARE MODE")
        with pytest.raises(DatabaseError, match="Another session"):
            migrate(owner, price_retention_days=30)
    migrate(owner, price_retention_days=30)
    owner.dispose()


def test_app_role_drops_only_prices_that_retention_allows(engine: sa.Engine, database: Database) -> None:
    """However old the caller says they are: the database keeps its own limit, which only the owner can change."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=age) for age in (0, 89, 90, 91, 92)]
    outcomes = ["retained", "retained", "retained", "dropped", "dropped"]
    with transaction(engine) as connection:
        for day in days:
            connection.execute(sa.text("SELECT create_price_partitions(:day, :day)"), {"day": day})
    assert _drop(engine, days) == outcomes
    for change in ("UPDATE price_retention SET days = 1", "DELETE FROM price_retention"):
        with psycopg.connect(database.url("app")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change.encode())
    owner = create_engine(database.url("owner"))
    migrate(owner, price_retention_days=0)
    assert _drop(engine, days[2:3]) == ["retained"], "forever"
    migrate(owner, price_retention_days=30)
    migrate(owner)
    assert _drop(engine, days) == ["retained", "dropped", "dropped", "absent", "absent"]
    owner.dispose()


def _drop(engine: sa.Engine, days: list[date]) -> list[str]:
    with transaction(engine) as connection:
        query = sa.text("SELECT drop_price_partition(:day)")
        return [connection.execute(query, {"day": day}).scalar_one() for day in days]


def test_every_lock_has_its_table(engine: sa.Engine) -> None:
    for lock in Lock:
        with transaction(engine) as connection:
            acquire_lock(connection, lock)


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
