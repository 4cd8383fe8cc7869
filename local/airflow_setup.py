"""Migrates Airflow's database, creates its first user and saves the connection ``coinwatch``, all in one process:
importing Airflow takes longer than any of it.

Run as a file with Airflow's environment, the project on PYTHONPATH, COINWATCH_DATABASE_URL,
COINWATCH_AIRFLOW_ADMIN_PASSWORD and the variables of ``AirflowSetup.environment``. Passwords come from the environment,
because every user of the machine can read the arguments of a process.
"""

import json
import os
import sys

from local.airflow_main import accept_percent_in_paths

CONNECTION_ID = "coinwatch"  # as in dags/coinwatch_engine.py
DESCRIPTION = "The coinwatch database, used by DAG tasks. Created from COINWATCH_DATABASE_URL."


def main() -> None:
    accept_percent_in_paths()
    run_airflow("db", "migrate")
    create_admin(os.environ["COINWATCH_AIRFLOW_ADMIN"], os.environ["COINWATCH_AIRFLOW_ADMIN_PASSWORD"])
    change = os.environ["COINWATCH_AIRFLOW_CONNECTION"]
    if change == "replace":
        run_airflow("connections", "delete", CONNECTION_ID)
    if change in ("create", "replace"):
        fields = connection_fields(os.environ["COINWATCH_DATABASE_URL"])
        run_airflow("connections", "add", CONNECTION_ID, "--conn-json", json.dumps(fields))


def run_airflow(*arguments: str) -> None:
    """Run a command of Airflow's command line in this process."""
    from airflow.cli import cli_parser

    parsed = cli_parser.get_parser().parse_args(arguments)
    parsed.func(parsed)


def create_admin(name: str, password: str) -> None:
    """Create a user with the role Admin. An existing user, whose password may be different, is kept."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        if manager.find_user(name):
            return
        # Write roles and permissions, as the api-server would at its first start.
        manager.sync_roles()
        role = manager.find_role("Admin")
        if not manager.add_user(name, "coinwatch", "operator", f"{name}@localhost", role, password):
            sys.exit(f"Airflow's user {name} could not be created.")


def connection_fields(url: str) -> dict[str, object]:
    """The fields of an Airflow connection for a ``postgresql://`` URL; its query, such as ``sslmode``, are extras."""
    from sqlalchemy import make_url

    parts = make_url(url)
    return {
        "conn_type": "postgres",
        "description": DESCRIPTION,
        "host": parts.host,
        "port": parts.port,
        "login": parts.username,
        "password": parts.password,
        "schema": parts.database,
        "extra": dict(parts.query),
    }


if __name__ == "__main__":
    main()
