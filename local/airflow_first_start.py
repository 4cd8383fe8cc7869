"""Migrates Airflow's database and creates its first user, in one process: importing Airflow costs more than either.

Run as a file with Airflow's environment; reads the user's name and password from COINWATCH_AIRFLOW_ADMIN and
COINWATCH_AIRFLOW_ADMIN_PASSWORD, because ``airflow users create`` wants the password among its arguments, where every
user of the machine can read it.
"""

import os
import sys


def main() -> None:
    from airflow.cli import cli_parser

    arguments = cli_parser.get_parser().parse_args(["db", "migrate"])
    arguments.func(arguments)
    create_admin(os.environ["COINWATCH_AIRFLOW_ADMIN"], os.environ["COINWATCH_AIRFLOW_ADMIN_PASSWORD"])


def create_admin(name: str, password: str) -> None:
    """Create the user with the role Admin unless there is one of that name: its password may have been changed."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        if manager.find_user(name):
            return
        # Writes the roles and their permissions, which the api-server would otherwise do at its first start.
        manager.sync_roles()
        role = manager.find_role("Admin")
        if not manager.add_user(name, "coinwatch", "operator", f"{name}@localhost", role, password):
            sys.exit(f"Airflow's user {name} could not be created.")


if __name__ == "__main__":
    main()
