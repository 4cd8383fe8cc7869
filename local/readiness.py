"""Whether a service is ready: each check uses it as its clients do, and returns None or the reason why it is not.

A check is plain data (kind and arguments), so that ``status`` can repeat the checks of ``start``.
"""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

PROBE_GAUGE = "coinwatch.local.ready"


@dataclass(frozen=True)
class Check:
    """A key of KINDS, and the arguments of that function."""

    kind: str
    arguments: tuple[str | int, ...]


def run_check(check: Check, started: float) -> str | None:
    """Run a check. ``started``: start time of the process (Unix seconds); older heartbeats do not count."""
    if check.kind in {"airflow", "scheduler"}:
        return KINDS[check.kind](*check.arguments, started)
    return KINDS[check.kind](*check.arguments)


def check_query(url: str) -> str | None:
    """Postgres executes a query."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return _short(error)
    return None


def check_line_receiver(host: str, port: int) -> str | None:
    """carbon accepts connections."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return _short(error)
    return None


def check_gauge(host: str, port: int, admin_port: int) -> str | None:
    """StatsD accepts a gauge over TCP and shows it on its admin port; the gauge is deleted again."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(f"{PROBE_GAUGE}:1|g\n".encode())
        for _ in range(5):
            if PROBE_GAUGE in _ask(host, admin_port, "gauges"):
                _ask(host, admin_port, f"delgauges {PROBE_GAUGE}")
                return None
    except OSError as error:
        return _short(error)
    return "a gauge sent over TCP does not appear on the admin port"


def check_render(url: str) -> str | None:
    """graphite-web renders a target as JSON."""
    reason, body = _get(f"{url}/render?target=carbon.agents.*.metricsReceived&from=-5min&format=json")
    if reason:
        return reason
    return None if isinstance(_json(body), list) else "the response is not a list of series"


def check_http(url: str) -> str | None:
    """A page returns status 200."""
    return _get(url)[0]


def check_mail(host: str, smtp_port: int, page: str) -> str | None:
    """The mail catcher sends an SMTP greeting, and its web page is available."""
    try:
        with socket.create_connection((host, smtp_port), timeout=2) as connection:
            connection.settimeout(2)
            banner = connection.recv(200)
            if not banner.startswith(b"220"):
                return f"unexpected greeting {banner[:40]!r}"
            connection.sendall(b"QUIT\r\n")
    except OSError as error:
        return _short(error)
    return check_http(page)


def check_airflow(url: str, component: str, started: float) -> str | None:
    """Airflow reports a component (scheduler, dag_processor, metadatabase) as healthy.

    The report accepts heartbeats up to half a minute old, including those of a process that was killed since.
    """
    reason, body = _get(f"{url}/api/v2/monitor/health")
    if reason:
        return reason
    report = _json(body)
    state = report.get(component) if isinstance(report, dict) else None
    if not isinstance(state, dict) or state.get("status") != "healthy":
        return f"{component} is {state.get('status') if isinstance(state, dict) else 'not reported'}"
    heartbeat = state.get(f"latest_{component}_heartbeat")
    if heartbeat and datetime.fromisoformat(heartbeat).timestamp() < started:
        return f"{component} has sent no heartbeat since it was started"
    return None


def check_scheduler(url: str, execution_url: str, started: float) -> str | None:
    """The scheduler is healthy, and the tasks that it starts can reach Airflow."""
    return check_airflow(url, "scheduler", started) or check_execution_api(execution_url)


def check_execution_api(url: str) -> str | None:
    """Airflow's API for tasks responds at the URL that tasks use."""
    reason, body = _get(f"{url.rstrip('/')}/health")
    report = _json(body)
    # Airflow responds to unknown paths with its start page and status 200.
    if not reason and isinstance(report, dict) and report.get("status") == "healthy":
        return None
    problem = reason or "the response is not Airflow's"
    return f"tasks can't reach Airflow at {url} ({problem}); check AIRFLOW__CORE__EXECUTION_API_SERVER_URL"


def check_dag(database_url: str, dag_id: str) -> str | None:
    """The DAG is parsed; if it is not, an import error is the likely reason."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(database_url)
    try:
        with engine.connect() as connection:
            known = sqlalchemy.text("SELECT 1 FROM dag WHERE dag_id = :dag AND NOT is_stale")
            if connection.execute(known, {"dag": dag_id}).first():
                return None
            problem = connection.execute(sqlalchemy.text("SELECT filename, stacktrace FROM import_error")).first()
            if problem:
                return f"{problem[0]} cannot be imported: {str(problem[1]).strip().splitlines()[-1]}"
            return f"the DAG {dag_id} is not parsed yet"
    except sqlalchemy.exc.SQLAlchemyError as error:
        return _short(error)
    finally:
        engine.dispose()


def _ask(host: str, port: int, command: str) -> str:
    """Send a command to StatsD's admin port; the response ends with END and an empty line."""
    with socket.create_connection((host, port), timeout=2) as connection:
        connection.settimeout(2)
        connection.sendall(f"{command}\n".encode())
        answer = b""
        while b"END\n\n" not in answer:
            chunk = connection.recv(65536)
            if not chunk:
                break
            answer += chunk
        return answer.decode(errors="replace")


def _get(url: str) -> tuple[str | None, bytes]:
    # Requests to this machine bypass the proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=7) as response:
            return None, response.read()
    except urllib.error.HTTPError as error:
        return f"HTTP status {error.code}", b""
    except OSError as error:
        return _short(error), b""


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


KINDS: dict[str, Callable[..., str | None]] = {
    "query": check_query,
    "line receiver": check_line_receiver,
    "gauge": check_gauge,
    "render": check_render,
    "http": check_http,
    "mail": check_mail,
    "airflow": check_airflow,
    "scheduler": check_scheduler,
}
