"""Backups of coinwatch's database, with the client programs of the stack's own Postgres, of the same version."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from local.commands import run_command
from local.configuration import Configuration
from local.environments import application_settings, server_environment
from local.errors import StackError
from local.postgres import packaged_binaries
from local.status import Status

DATABASE = "coinwatch"
RESTORED, REPLACED = "coinwatch_restored", "coinwatch_replaced"


def back_up(configuration: Configuration, file: Path, status: Status) -> None:
    """Write a backup (pg_dump's custom format) to a new file with mode 0600, while the stack runs.

    Raises StackError, also if the file exists.
    """
    if configuration.local_database:
        _require_running(status)
    if file.exists():
        raise StackError(f"{file} exists. Choose another name, or delete it first.")
    if not file.parent.is_dir():
        raise StackError(f"The folder {file.parent} does not exist. Create it first.")
    partial = file.with_name(f"{file.name}.partial")
    try:
        partial.touch(mode=0o600)
        url = configuration.addresses["COINWATCH_DATABASE_OWNER_URL"]
        _run_client(configuration, "pg_dump", url, "--format=custom", f"--file={partial.absolute()}")
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)


def restore(configuration: Configuration, file: Path, status: Status, say: Callable[[str], None]) -> None:
    """Replace all data by that of a backup.

    The data is restored to a second database first, so that an unusable backup changes nothing. Raises StackError.
    """
    if not configuration.local_database:
        raise StackError("COINWATCH_DATABASE_URL is set: use pg_restore on the server of that database.")
    _require_running(status)
    if not file.is_file():
        raise StackError(f"{file} does not exist.")
    _execute(configuration, f"DROP DATABASE IF EXISTS {RESTORED}", f"CREATE DATABASE {RESTORED} OWNER coinwatch_owner")
    try:
        url = configuration.superuser_url(RESTORED)
        _run_client(configuration, "pg_restore", url, "--exit-on-error", str(file.absolute()))
    except StackError as error:
        _execute(configuration, f"DROP DATABASE {RESTORED}")
        raise StackError(f"{error}. Nothing was changed. Pass a file written by ./local_run.sh backup.") from None
    say("restored; replacing the database")
    _execute(
        configuration,
        f"DROP DATABASE IF EXISTS {REPLACED}",
        # Services reconnect; a task that is running fails and is tried again.
        f"ALTER DATABASE {DATABASE} CONNECTION LIMIT 0",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{DATABASE}'",
        f"ALTER DATABASE {DATABASE} RENAME TO {REPLACED}",
        f"ALTER DATABASE {RESTORED} RENAME TO {DATABASE}",
        f"DROP DATABASE {REPLACED} WITH (FORCE)",
    )
    prepare_database(configuration)


def prepare_database(configuration: Configuration) -> None:
    """Create roles and database unless they exist, and run pending migrations."""
    command = configuration.paths.bin / "coinwatch"
    urls = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_READER_URL")
    environment = server_environment(configuration, application_settings(configuration, *urls))
    if configuration.admin_url:
        admin = {**environment, "COINWATCH_DATABASE_ADMIN_URL": configuration.admin_url}
        run_command(configuration.paths, "setup-database", [command, "setup-database"], admin)
    run_command(configuration.paths, "migrate", [command, "migrate"], environment)


def _require_running(status: Status) -> None:
    if status.state == "stopped":
        raise StackError("Nothing is running. Start with ./local_run.sh start")


def _run_client(configuration: Configuration, program: str, url: str, *options: str) -> None:
    """Run pg_dump or pg_restore. The password is in its environment, because arguments are public."""
    parts = urlsplit(url)
    without_password = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@", 1)).geturl()
    environment = {**os.environ, "PGPASSWORD": unquote(parts.password or "")}
    command = [str(packaged_binaries() / "bin" / program), f"--dbname={without_password}", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise StackError(f"{program} failed: {lines[0]}")


def _execute(configuration: Configuration, *statements: str) -> None:
    import psycopg

    try:
        with psycopg.connect(configuration.superuser_url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
    except psycopg.Error as error:
        raise StackError(f"The database could not be replaced: {str(error).strip()}") from None
