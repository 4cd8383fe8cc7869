"""Sessions have fixed formats; lost and read-only connections raise DatabaseError however they are used."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa

from coinwatch.database import autocommit, driver_connection, reading, transaction
from coinwatch.errors import DatabaseError
from tests.conftest import Database


@pytest.mark.parametrize("way", [autocommit, reading, transaction])
def test_lost_connection_raises_without_logging_a_traceback(
    engine: sa.Engine,
    caplog: pytest.LogCaptureFixture,
    way: Callable[[sa.Engine], AbstractContextManager[sa.Connection]],
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(DatabaseError, match="is not available"),
        way(engine) as connection,
        driver_connection(connection).cursor() as cursor,
    ):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert caplog.records == []
    with way(engine) as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


@pytest.mark.parametrize("way", [autocommit, reading, transaction])
def test_one_error_after_a_restart_although_several_connections_are_lost(
    engine: sa.Engine,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    way: Callable[[sa.Engine], AbstractContextManager[sa.Connection]],
) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(way(engine)).execute(sa.text("SELECT 1"))
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'coinwatch'")
    with caplog.at_level(logging.ERROR):
        with pytest.raises(DatabaseError, match="is not available"), way(engine) as connection:
            connection.execute(sa.text("SELECT 1"))
        for _ in range(3):
            with way(engine) as connection:
                assert connection.scalar(sa.text("SELECT 1")) == 1
    assert caplog.records == []


def test_interrupted_begin_leaves_nothing_to_log(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction(engine) as connection:
        driver = type(driver_connection(connection))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(driver, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt), transaction(engine):
            pass
    assert caplog.records == []
    with transaction(engine) as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


@pytest.mark.parametrize("way", [autocommit, reading, transaction])
def test_read_only_database_is_reported(
    engine: sa.Engine, way: Callable[[sa.Engine], AbstractContextManager[sa.Connection]]
) -> None:
    read_only, write = "SET default_transaction_read_only = on", "DELETE FROM outbox"
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute(read_only) and connection.commit())
    engine.dispose()
    with pytest.raises(DatabaseError, match="read-only"), way(engine) as connection:
        connection.execute(sa.text(write))
    with (
        pytest.raises(DatabaseError, match="read-only"),
        way(engine) as connection,
        driver_connection(connection).cursor() as cursor,
    ):
        cursor.execute(write.encode())


def test_value_rejected_by_postgres_raises_database_error(engine: sa.Engine) -> None:
    with pytest.raises(DatabaseError, match="NUL"), transaction(engine) as connection:
        connection.execute(sa.text("SELECT CAST(:text AS text)"), {"text": "a\0b"})


@pytest.mark.parametrize("later", ["SELECT 1 FROM later", "SELECT later FROM outbox", "SELECT later(1)"])
def test_missing_migrations_are_reported(engine: sa.Engine, later: str) -> None:
    with pytest.raises(DatabaseError, match="Run: coinwatch migrate"), transaction(engine) as connection:
        connection.execute(sa.text(later))


@pytest.mark.parametrize("way", [reading, transaction])
def test_server_defaults_do_not_matter(
    engine: sa.Engine, database: Database, way: Callable[[sa.Engine], AbstractContextManager[sa.Connection]]
) -> None:
    with psycopg.connect(database.url("admin"), autocommit=True) as connection:
        for setting in ("timezone TO 'Asia/Tokyo'", "datestyle TO 'German, DMY'"):
            connection.execute(f"ALTER DATABASE {database.name} SET {setting}".encode())
    evening = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
    query = "SELECT CAST(:at AS timestamptz) AS at, CAST(CAST(:at AS timestamptz) AS date) AS day, :at || '' AS text"
    with way(engine) as connection:
        row = connection.execute(sa.text(query), {"at": evening}).one()
    assert (row.at, row.day.isoformat(), row.text) == (evening, "2026-03-01", "2026-03-01 22:30:00+00")
