"""When Airflow's database is set up again, and what happens to the connection ``coinwatch``."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.airflow_database import AirflowSetup
from local.airflow_setup import connection_fields

DATABASE_URL = "postgresql://coinwatch_app:first@127.0.0.1:15432/coinwatch"
TABLES = """
CREATE TABLE alembic_version (version_num text);
CREATE TABLE alembic_version_fab (version_num text);
CREATE TABLE ab_user (username text);
CREATE TABLE connection (conn_id text);
INSERT INTO alembic_version VALUES ('a');
INSERT INTO alembic_version_fab VALUES ('b');
INSERT INTO ab_user VALUES ('admin');
INSERT INTO connection VALUES ('coinwatch');
"""


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A metadata database after setup."""
    connection = sqlite3.connect(tmp_path / "airflow.db", isolation_level=None)
    connection.executescript(TABLES)
    yield connection
    connection.close()


def make_setup(folder: Path, database_url: str = DATABASE_URL) -> AirflowSetup:
    return AirflowSetup(folder / "prepared.json", f"sqlite:///{folder}/airflow.db", database_url, "admin")


def connection_change(setup: AirflowSetup) -> str:
    return setup.environment()["COINWATCH_AIRFLOW_CONNECTION"]


def test_empty_database_is_set_up_with_the_connection(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    assert not setup.is_done()
    assert connection_change(setup) == "create"


def test_setup_is_complete_once_saved(tmp_path: Path, metadata: sqlite3.Connection) -> None:
    assert not make_setup(tmp_path).is_done()
    make_setup(tmp_path).save()
    assert make_setup(tmp_path).is_done()
    assert (tmp_path / "prepared.json").stat().st_mode & 0o777 == 0o600
    assert "first" not in (tmp_path / "prepared.json").read_text()


def test_changed_database_url_replaces_the_connection(tmp_path: Path, metadata: sqlite3.Connection) -> None:
    make_setup(tmp_path).save()
    changed = make_setup(tmp_path, DATABASE_URL.replace("first", "second"))
    assert not changed.is_done()
    assert connection_change(changed) == "replace"


def test_deleted_connection_is_created_again(tmp_path: Path, metadata: sqlite3.Connection) -> None:
    make_setup(tmp_path).save()
    metadata.execute("DELETE FROM connection")
    setup = make_setup(tmp_path)
    assert not setup.is_done()
    assert connection_change(setup) == "create"


def test_recreated_airflow_tables_keep_the_connection(tmp_path: Path, metadata: sqlite3.Connection) -> None:
    """Changes made under Admin > Connections survive an upgrade of Airflow."""
    make_setup(tmp_path).save()
    metadata.execute("UPDATE alembic_version SET version_num = 'c'")
    setup = make_setup(tmp_path)
    assert not setup.is_done()
    assert connection_change(setup) == "keep"


def test_connection_fields_are_parsed_from_the_url() -> None:
    fields = connection_fields("postgresql://me:p%40ss%2F@db.example.org:6432/prices?sslmode=require")
    del fields["description"]
    assert fields == {
        "conn_type": "postgres",
        "host": "db.example.org",
        "port": 6432,
        "login": "me",
        "password": "p@ss/",
        "schema": "prices",
        "extra": {"sslmode": "require"},
    }
