"""Health checks of the containers: exit code 0 if healthy, otherwise 1 and the reason.

    python3 -m local.healthcheck http URL        a page returns status 200
    python3 -m local.healthcheck airflow         Airflow's api-server responds and reaches its database
    python3 -m local.healthcheck job TYPE        this container's SchedulerJob or DagProcessorJob has a recent
                                                 heartbeat; for a SchedulerJob, also: its tasks can reach Airflow
    python3 -m local.healthcheck dag NAME        the DAG is parsed

Runs every few seconds in several containers, so it imports only what one check needs.
"""

import os
import socket
import sys

from local.readiness import check_airflow, check_dag, check_execution_api, check_http

AIRFLOW_URL = "http://127.0.0.1:8080"
# How old a heartbeat may be, in seconds: Airflow's own settings.
THRESHOLDS = {
    "SchedulerJob": "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD",
    "DagProcessorJob": "AIRFLOW__DAG_PROCESSOR__HEALTH_CHECK_THRESHOLD",
}


def main(arguments: list[str]) -> str | None:
    """Why the container is not healthy, or None."""
    match arguments:
        case ["http", url]:
            return check_http(url)
        case ["airflow"]:
            return check_airflow(AIRFLOW_URL, "metadatabase", started=0)
        case ["job", kind]:
            return check_job(kind) or (_check_tasks() if kind == "SchedulerJob" else None)
        case ["dag", name]:
            return check_dag(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], name)
        case _:
            return __doc__


def check_job(kind: str) -> str | None:
    """The newest job that this container registered; the host name excludes those of earlier containers."""
    import psycopg

    query = (
        "SELECT extract(epoch FROM now() - latest_heartbeat) FROM job WHERE job_type = %s AND hostname = %s"
        " AND state = 'running' ORDER BY start_date DESC LIMIT 1"
    )
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "", 1)
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            row = connection.execute(query, (kind, socket.getfqdn())).fetchone()
    except psycopg.Error as error:
        return str(error).strip()
    if row is None:
        return f"no {kind} is registered yet"
    if row[0] >= float(os.environ[THRESHOLDS[kind]]):
        return f"the last heartbeat of the {kind} is {row[0]:.0f} s old"
    return None


def _check_tasks() -> str | None:
    return check_execution_api(os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
