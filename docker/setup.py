"""The one-shot service `setup`: brings databases, Airflow's first user and the boards up to date at every start.

Only this container knows the superuser's and the owner's password. Every step may be repeated.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import sql

HOME = Path(os.environ["COINWATCH_HOME"])
STATE = Path("/var/lib/coinwatch/state")
AIRFLOW_PREPARED = STATE / "airflow-prepared.json"
PROBED = STATE / "exchanges-probed"
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
    prepare_airflow(environment)
    addresses = [
        "--airflow-url",
        environment["AIRFLOW__API__BASE_URL"],
        "--web-url",
        environment["COINWATCH_PUBLIC_URL"],
    ]
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


def prepare_airflow(environment: dict[str, str]) -> None:
    """Migrate Airflow's tables and create its first user; a later start finds both done without importing Airflow."""
    url = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "", 1)
    state = airflow_state(url, environment["COINWATCH_AIRFLOW_ADMIN"])
    if state and AIRFLOW_PREPARED.is_file() and AIRFLOW_PREPARED.read_text() == json.dumps(state):
        return
    run([sys.executable, HOME / "local" / "airflow_first_start.py"], environment)
    AIRFLOW_PREPARED.write_text(json.dumps(airflow_state(url, environment["COINWATCH_AIRFLOW_ADMIN"])))


def airflow_state(url: str, admin: str) -> dict[str, str] | None:
    """What identifies a prepared database: versions of Airflow and of its tables, the first user. None: not yet."""
    state = {name: version(name) for name in ("apache-airflow-core", "apache-airflow-providers-fab")}
    questions = {
        "tables": ("SELECT version_num FROM alembic_version", ()),
        "tables of fab": ("SELECT version_num FROM alembic_version_fab", ()),
        "first user": ("SELECT username FROM ab_user WHERE username = %s", (admin,)),
    }
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            for name, (query, values) in questions.items():
                row = connection.execute(query.encode(), values).fetchone()
                if row is None:
                    return None
                state[name] = row[0]
    except psycopg.Error:
        return None
    return state


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
