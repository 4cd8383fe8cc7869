"""Health checks of the containers: exit code 0 and silence when healthy, otherwise 1 and the reason.

    healthy.py page URL        a page answers 200
    healthy.py airflow         Airflow's api-server answers and reaches its database
    healthy.py job TYPE        this container's SchedulerJob or DagProcessorJob gave a sign of life lately
    healthy.py dag NAME        the DAG is parsed and known

Runs every few seconds in several containers, so it imports only what the one check needs.
"""

import json
import os
import socket
import sys
import urllib.request
from typing import Any

HEARTBEAT_SECONDS = 30  # as Airflow's own scheduler_health_check_threshold
AIRFLOW_HEALTH = "http://127.0.0.1:8080/api/v2/monitor/health"


def main(arguments: list[str]) -> str:
    """Why it is not healthy, or ''."""
    try:
        match arguments:
            case ["page", url]:
                _fetch(url)
            case ["airflow"]:
                state = json.loads(_fetch(AIRFLOW_HEALTH))["metadatabase"]["status"]
                return "" if state == "healthy" else f"Airflow calls its database {state}"
            case ["job", kind]:
                return _check_job(kind)
            case ["dag", name]:
                return _check_dag(name)
            case _:
                return __doc__ or ""
    except (OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _fetch(url: str) -> bytes:
    # No proxy: this is our own container.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=4) as response:
        body: bytes = response.read()
    return body


def _check_job(kind: str) -> str:
    """The newest job that this container registered; the host's name keeps an earlier container's out."""
    query = (
        "SELECT extract(epoch FROM now() - latest_heartbeat) FROM job WHERE job_type = %s AND hostname = %s"
        " AND state = 'running' ORDER BY start_date DESC LIMIT 1"
    )
    row = _query(query, kind, socket.getfqdn())
    if row is None:
        return f"no {kind} is registered yet"
    return "" if row[0] < HEARTBEAT_SECONDS else f"the {kind}'s last sign of life is {row[0]:.0f} s old"


def _check_dag(name: str) -> str:
    if _query("SELECT 1 FROM dag WHERE dag_id = %s AND NOT is_stale", name):
        return ""
    problem = _query("SELECT filename, stacktrace FROM import_error LIMIT 1")
    if problem:
        return f"{problem[0]} does not import: {str(problem[1]).strip().splitlines()[-1]}"
    return f"the DAG {name} is not parsed yet"


def _query(statement: str, *values: str) -> tuple[Any, ...] | None:
    import psycopg

    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "", 1)
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            return connection.execute(statement.encode(), values).fetchone()
    except psycopg.Error as error:
        raise OSError(str(error).strip()) from None


if __name__ == "__main__":
    reason = main(sys.argv[1:])
    if reason:
        sys.exit(reason)
