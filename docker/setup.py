"""The one-shot service ``setup``: sets up the databases, Airflow and the dashboards at every start.

Only this container knows the passwords of the superuser and the owner. Every step is idempotent.
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from local.airflow_database import AirflowSetup, create_airflow_database

HOME = Path(os.environ["COINWATCH_HOME"])
STATE = Path("/var/lib/coinwatch/state")
DASHBOARDS = Path("/var/lib/coinwatch/dashboards")


def main() -> None:
    """Run all steps in order; the first failure ends the container with an error message."""
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    admin_url = environment.pop("COINWATCH_DATABASE_ADMIN_URL")
    try:
        create_airflow_database(admin_url, environment.pop("COINWATCH_AIRFLOW_DATABASE_PASSWORD"))
    except psycopg.OperationalError as error:
        sys.exit(explain(error))
    run(["coinwatch", "setup-database"], {**environment, "COINWATCH_DATABASE_ADMIN_URL": admin_url})
    run(["coinwatch", "migrate"], environment)
    set_up_airflow(environment)
    copy_dashboards(environment)
    probe_exchanges(environment)
    print("Setup is complete.", flush=True)


def set_up_airflow(environment: dict[str, str]) -> None:
    """Migrate Airflow's tables, create its first user and the connection ``coinwatch``, unless that is done."""
    setup = AirflowSetup(
        STATE / "airflow-prepared.json",
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"],
        environment["COINWATCH_DATABASE_URL"],
        environment["COINWATCH_AIRFLOW_ADMIN"],
    )
    if not setup.is_done():
        variables = {**environment, **setup.environment(), "PYTHONPATH": str(HOME)}
        run([sys.executable, "-P", HOME / "local" / "airflow_setup.py"], variables)
        setup.save()


def copy_dashboards(environment: dict[str, str]) -> None:
    """Copy the Grafana dashboards, with links to this stack's addresses."""
    airflow_url, web_url = environment["AIRFLOW__API__BASE_URL"], environment["COINWATCH_PUBLIC_URL"]
    script = HOME / "grafana" / "copy_dashboards.py"
    run([sys.executable, script, DASHBOARDS, "--airflow-url", airflow_url, "--web-url", web_url], environment)


def probe_exchanges(environment: dict[str, str]) -> None:
    """Show which public exchanges are reachable, at the first start only."""
    done = STATE / "exchanges-probed"
    if not done.exists():
        print("reachable exchanges (check again with: coinwatch exchanges probe):", flush=True)
        run(["coinwatch", "exchanges", "probe"], environment)
        done.touch()


def explain(error: psycopg.OperationalError) -> str:
    """One sentence. A wrong password has its own: Postgres takes the superuser's password at the first start only."""
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "password authentication failed" in first_line:
        return (
            "COINWATCH_POSTGRES_PASSWORD differs from the password the database was created with. Restore the old one "
            "in .env, or delete all data with ./docker_run.sh reset."
        )
    return f"Postgres cannot be set up: {first_line}"


def run(command: list[str | Path], environment: dict[str, str]) -> None:
    """Run one step; its output goes to this container's log."""
    finished = subprocess.run(command, env=environment, check=False)  # noqa: S603 - fixed commands
    if finished.returncode:
        name = " ".join(Path(word).name for word in command if word != sys.executable)
        sys.exit(f"The step `{name}` failed; see the error above.")


if __name__ == "__main__":
    main()
