"""Sessions have fixed formats; lost and read-only connections raise DatabaseError however they are used."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
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
