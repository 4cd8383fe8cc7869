"""Creates the database with its roles, and migrates its schema."""

import re
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection, Engine

from coinwatch.database import SQL_ROOT, driver_connection, parse_database_url, transaction
from coinwatch.errors import ConfigurationError, DatabaseError

MIGRATIONS = SQL_ROOT / "migrations"
ROLE = re.compile(r"[a-z_][a-z0-9_]*")
MIGRATIONS_LOCK = 4_701_226
MIGRATION_LOCK_TIMEOUT = "10s"
# The reader's sessions can change these; end_long_reader_sessions (migration 0006) enforces longer limits.
READER_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
READER_CONNECTIONS = 20
APP_GROUP, READER_GROUP = "coinwatch_app", "coinwatch_reader"
# Postgres lets everyone take advisory locks and store large objects. Only its superuser can change that.
PUBLIC_FUNCTIONS = """
    SELECT p.oid::regprocedure::text FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (p.proname ~ '^pg_(try_)?advisory_' OR p.proname ~ '^lo_' OR p.proname IN ('loread', 'lowrite'))
"""


def migrate(engine: Engine, *, price_retention_days: int | None = None) -> list[str]:
    """Run pending migrations, as the owner role; return the ids of those that ran, oldest first.

    Concurrent calls are safe. Always grants the roles their privileges, for roles created since the last call, and
    stores ``price_retention_days``, which limits what the application role may drop (0: nothing). Raises DatabaseError.
    """
    # Imported here because Alembic takes a sixth of the start-up time of the command line.
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with transaction(engine) as connection:
        # A second call waits and then finds nothing to do. The tables of other locks may not exist yet.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATIONS_LOCK})
        # A migration that waits for a table makes everyone else wait behind it, however short it is itself.
        connection.execute(
            sa.text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": MIGRATION_LOCK_TIMEOUT}
        )
        before = MigrationContext.configure(connection).get_current_revision()
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        command.upgrade(config, "head")
        driver_connection(connection).execute((MIGRATIONS / "grants.sql").read_bytes())
        if price_retention_days is not None:
            connection.execute(sa.text("UPDATE price_retention SET days = :days"), {"days": price_retention_days})
        script = ScriptDirectory.from_config(config)
        after = MigrationContext.configure(connection).get_current_revision()
        if before == after:
            return []
        return [revision.revision for revision in reversed(list(script.iterate_revisions(after, before)))]


def is_migrated(engine: Engine) -> bool:
    """Whether the migrations of this version have run. Raises DatabaseError, also if none has."""
    with transaction(engine) as connection:
        return (applied_revision(connection) or "") >= newest_revision()


def newest_revision() -> str:
    """The id of the newest migration of this version."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def applied_revision(connection: Connection) -> str | None:
    """The id of the last migration that the database has."""
    found = connection.execute(sa.text("SELECT max(version_num) FROM alembic_version")).scalar_one()
    return None if found is None else str(found)


def run_sql_file(name: str) -> None:
    """Run the SQL file of a migration (several statements without parameters) on Alembic's connection."""
    from alembic import op

    driver_connection(op.get_bind()).execute((MIGRATIONS / "versions" / name).read_bytes())


def setup_database(admin_url: str, owner_url: str, app_url: str, reader_url: str) -> None:
    """Create the database and the three roles with the passwords in their URLs; safe to run again.

    The roles may have any name, and one role may be all three.

    ``admin_url`` is the URL of a role that may create roles and databases. Raises DatabaseError and ConfigurationError.
    """
    admin, owner, app, reader = (parse_database_url(url) for url in (admin_url, owner_url, app_url, reader_url))
    database = owner.database
    if database is None or not owner.username or len({owner.database, app.database, reader.database}) != 1:
        raise ConfigurationError("The database URLs of owner, app and reader must have the same database.")
    try:
        with psycopg.connect(_plain(admin), autocommit=True) as connection:
            for url in (owner, app, reader):
                _ensure_role(connection, url)
            _ensure_group(connection, APP_GROUP, app, owner)
            if reader.username and reader.username not in {owner.username, app.username}:
                _ensure_group(connection, READER_GROUP, reader, owner)
                for name, value in READER_SETTINGS.items():
                    _run(connection, "ALTER ROLE {} SET {} = {}", reader.username, name, sql.Literal(value))
                _run(connection, "ALTER ROLE {} CONNECTION LIMIT {}", reader.username, sql.Literal(READER_CONNECTIONS))
                _run(connection, "GRANT {} TO {}", reader.username, owner.username)  # for end_long_reader_sessions
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                _run(
                    connection,
                    "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'",
                    database,
                    owner.username,
                )
            _run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
            _run(connection, "GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}", database, app.username or "")
            _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", database, reader.username or "")
        with psycopg.connect(_plain(admin.set(database=database))) as connection:
            _run(connection, "ALTER SCHEMA public OWNER TO {}", owner.username)
            for (function,) in connection.execute(PUBLIC_FUNCTIONS.encode()).fetchall():
                connection.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC".encode())
                if "advisory" in function:  # for migrations
                    _run(connection, f"GRANT EXECUTE ON FUNCTION {function} TO {{}}", owner.username)
    except psycopg.OperationalError as error:
        raise DatabaseError(f"Setting up the database failed: {str(error).strip().splitlines()[0]}") from error


def _ensure_role(connection: psycopg.Connection[Any], url: sa.URL) -> None:
    if not url.username or not url.password or not ROLE.fullmatch(url.username):
        raise ConfigurationError(
            f"The database URL of role {url.username!r} is invalid: it needs a password, and a role name of lowercase "
            "letters, digits and underscores."
        )
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [url.username]).fetchone()
    action = "ALTER" if exists else "CREATE"
    # Hashed on the client, so that the password never appears in the server's log.
    verifier = connection.pgconn.encrypt_password(str(url.password).encode(), url.username.encode(), b"scram-sha-256")
    options = "LOGIN NOSUPERUSER NOCREATEROLE PASSWORD {}"
    _run(connection, f"{action} ROLE {{}} {options}", url.username, sql.Literal(verifier.decode()))


def _ensure_group(connection: psycopg.Connection[Any], group: str, member: sa.URL, owner: sa.URL) -> None:
    """Privileges are granted to roles with our names (grants.sql); roles with other names become members of those."""
    if not member.username or member.username in {group, owner.username}:
        return
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [group]).fetchone():
        _run(connection, "CREATE ROLE {} NOLOGIN", group)
    _run(connection, "GRANT {} TO {}", group, member.username)


def _run(connection: psycopg.Connection[Any], template: str, *parts: str | sql.Literal) -> None:
    composed = [part if isinstance(part, sql.Literal) else sql.Identifier(part) for part in parts]
    connection.execute(sql.SQL(template).format(*composed))


def _plain(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
