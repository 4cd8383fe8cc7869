"""The one-shot service `setup`: brings databases, Airflow's first user and the boards up to date at every start.

Only this container knows the superuser's and the owner's password. Every step may be repeated.
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

HOME = Path(os.environ["COINWATCH_HOME"])
PROBED = Path("/var/lib/coinwatch/exchanges-probed")
BOARDS = Path("/var/lib/coinwatch/boards")


def main() -> None:
    """All steps in order; the first that fails ends it with its sentence."""
    environment = dict(os.environ)
    admin_url = environment.pop("COINWATCH_DATABASE_ADMIN_URL")
    try:
        create_airflow_database(admin_url, environment.pop("COINWATCH_AIRFLOW_DATABASE_PASSWORD"))
    except psycopg.OperationalError as error:
        sys.exit(explain(error))
    run(["coinwatch", "setup-database"], {**environment, "COINWATCH_DATABASE_ADMIN_URL": admin_url})
    run(["coinwatch", "migrate"], environment)
    run([sys.executable, HOME / "local" / "airflow_first_start.py"], environment)
    addresses = ["--airflow-url", environment["AIRFLOW__API__BASE_URL"], "--web-url", environment["COINWATCH_PUBLIC_URL"]]
    run([sys.executable, HOME / "grafana" / "place.py", BOARDS, *addresses], environment)
    if not PROBED.exists():
        print("public exchanges, asked once (again with: coinwatch exchanges probe):", flush=True)
        run(["coinwatch", "exchanges", "probe"], environment)
        PROBED.touch()
    print("Everything is prepared.", flush=True)


def create_airflow_database(admin_url: str, password: str) -> None:
    """The role and database of Airflow's metadata; the role's password follows .env."""
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'airflow'").fetchone()
        # Hashed here, so that the password itself never stands in the server's log.
        verifier = connection.pgconn.encrypt_password(password.encode(), b"airflow", b"scram-sha-256").decode()
        verb = sql.SQL("ALTER" if known else "CREATE")
        connection.execute(sql.SQL("{} ROLE airflow LOGIN PASSWORD {}").format(verb, sql.Literal(verifier)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'airflow'").fetchone():
            connection.execute("CREATE DATABASE airflow OWNER airflow")
        connection.execute("REVOKE ALL ON DATABASE airflow FROM PUBLIC")


def explain(error: psycopg.OperationalError) -> str:
    """One sentence; a wrong password has a reason of its own: Postgres takes it at the first start only."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "password authentication failed" in first:
        return (
            "COINWATCH_POSTGRES_PASSWORD is not the password this database was made with. Put the old one back into "
            ".env, or delete all data with ./docker_run.sh reset."
        )
    return f"Postgres cannot be set up: {first}"


def run(command: list[str | Path], environment: dict[str, str]) -> None:
    """Run one step; its output is this container's log."""
    done = subprocess.run(command, env=environment, check=False)  # noqa: S603 - fixed commands
    if done.returncode:
        named = " ".join(Path(word).name for word in command if word != sys.executable)
        sys.exit(f"The step `{named}` failed; its reason is above.")


if __name__ == "__main__":
    main()
