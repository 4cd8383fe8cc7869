"""Airflow's metadata database: creating it, and checking whether it is set up. For local_run.sh and Docker alike."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from local.paths import write_private

if TYPE_CHECKING:
    import sqlalchemy


def create_airflow_database(admin_url: str, password: str) -> None:
    """Create the role and the database ``airflow``; a role that exists gets the password.

    ``admin_url`` is a superuser's. Raises psycopg.Error.
    """
    import psycopg
    from psycopg import sql

    with psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as connection:
        exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'airflow'").fetchone()
        # Hashed on the client, so that the password never appears in the server's log.
        verifier = connection.pgconn.encrypt_password(password.encode(), b"airflow", b"scram-sha-256").decode()
        verb = sql.SQL("ALTER" if exists else "CREATE")
        connection.execute(sql.SQL("{} ROLE airflow LOGIN PASSWORD {}").format(verb, sql.Literal(verifier)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'airflow'").fetchone():
            connection.execute("CREATE DATABASE airflow OWNER airflow")
        connection.execute("REVOKE ALL ON DATABASE airflow FROM PUBLIC")


class AirflowSetup:
    """Whether Airflow's database is set up. The result is kept in a file, because importing Airflow takes seconds.

    Set up means: the tables of the installed versions, the user ``admin`` and the connection ``coinwatch`` exist. The
    connection is created if it is missing and replaced if ``database_url`` has changed since the last setup. Otherwise
    it is left alone, so that changes made under Admin > Connections are kept.
    """

    def __init__(self, file: Path, metadata_url: str, database_url: str, admin: str) -> None:
        self._file = file
        self._metadata_url = metadata_url
        self._database_url_digest = hashlib.sha256(database_url.encode()).hexdigest()
        self._admin = admin

    def is_done(self) -> bool:
        """Whether setup is complete."""
        state = self._read_state()
        return "" not in state.values() and state == self._read_file()

    def environment(self) -> dict[str, str]:
        """The variables that ``airflow_setup.py`` needs, without passwords."""
        if not self._read_state()["connection"]:
            change = "create"
        elif self._read_file().get("database_url") != self._database_url_digest:
            change = "replace"
        else:
            change = "keep"
        return {"COINWATCH_AIRFLOW_ADMIN": self._admin, "COINWATCH_AIRFLOW_CONNECTION": change}

    def save(self) -> None:
        """Record that setup is complete."""
        write_private(self._file, json.dumps(self._read_state()))

    def _read_file(self) -> dict[str, str]:
        try:
            content: dict[str, str] = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return content

    def _read_state(self) -> dict[str, str]:
        """The installed versions, the state of the database ('' for missing parts), and the database URL's digest."""
        import sqlalchemy as sa

        queries = {
            "tables": sa.text("SELECT version_num FROM alembic_version"),
            "fab tables": sa.text("SELECT version_num FROM alembic_version_fab"),
            "admin": sa.text("SELECT username FROM ab_user WHERE username = :name").bindparams(name=self._admin),
            "connection": sa.text("SELECT conn_id FROM connection WHERE conn_id = 'coinwatch'"),
        }
        engine = sa.create_engine(self._metadata_url)
        try:
            found = {name: _first_value(engine, query) for name, query in queries.items()}
        finally:
            engine.dispose()
        versions = {name: version(name) for name in ("apache-airflow-core", "apache-airflow-providers-fab")}
        return {**versions, **found, "database_url": self._database_url_digest}


def _first_value(engine: "sqlalchemy.Engine", query: "sqlalchemy.TextClause") -> str:
    import sqlalchemy as sa

    try:
        with engine.connect() as connection:
            return str(connection.execute(query).scalar_one())
    except sa.exc.SQLAlchemyError:
        return ""
