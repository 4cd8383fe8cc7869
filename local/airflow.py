"""Airflow: its settings as environment variables, its commands, and its setup."""

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from local.airflow_database import AirflowSetup
from local.commands import run_command
from local.configuration import Configuration
from local.environments import application_settings, child_environment

DAG_ID = "collect_prices"
ADMIN = "admin"
APPLICATION_SECRETS = ("DATABASE_URL", "SECRET_KEY", "SMTP_URL")


def scheduler_environment(configuration: Configuration) -> dict[str, str]:
    """The environment of the scheduler and its tasks, one of which cleans Airflow's database."""
    url = sqlalchemy_url(configuration.airflow_database)
    return {**airflow_environment(configuration), "COINWATCH_AIRFLOW_DATABASE_URL": url}


def dag_processor_environment(configuration: Configuration) -> dict[str, str]:
    """The environment of the DAG processor, which reads the DAG files and needs none of coinwatch's secrets."""
    return _environment(configuration, application_settings(configuration))


def airflow_environment(configuration: Configuration) -> dict[str, str]:
    """The environment of the api-server, which contains the plugin, and of commands."""
    return _environment(configuration, application_settings(configuration, *APPLICATION_SECRETS))


def _environment(configuration: Configuration, application: Mapping[str, str]) -> dict[str, str]:
    """Airflow's settings. The user's AIRFLOW__* variables override ours."""
    paths, user_settings = configuration.paths, configuration.user_settings
    home = paths.home / "airflow"
    base_url = user_settings.get("AIRFLOW__API__BASE_URL") or configuration.http("airflow")
    statsd_host = configuration.addresses["COINWATCH_STATSD_HOST"].strip().strip("[]")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(paths.project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(paths.project / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # The scheduler starts this many workers; a cycle has one task per exchange.
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "8",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # Admin > Connections can test the connection coinwatch.
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{configuration.http('airflow')}/execution/",
        "AIRFLOW__API__BASE_URL": base_url,
        # Whose X-Forwarded-* headers the api-server believes.
        "FORWARDED_ALLOW_IPS": user_settings.get("COINWATCH_TRUSTED_PROXIES") or "127.0.0.1,::1",
        # Of the login's session; the session of the user interface follows the request's scheme.
        "AIRFLOW__FAB__COOKIE_SECURE": str(base_url.startswith("https://")),
        "AIRFLOW__API__EXPOSE_CONFIG": "False",
        "AIRFLOW__API__INSTANCE_NAME": "coinwatch",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": sqlalchemy_url(configuration.airflow_database),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # The default contains the literal text {AIRFLOW_HOME}.
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
        # Seconds between scans of the DAG folder, and between parses of an unchanged file.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__HEALTH_CHECK_THRESHOLD": "30",
        # With the defaults, a task of 0.1 s waits one second for the scheduler and another for a worker.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # Tasks of a killed scheduler are rescheduled within half a minute, those of a killed worker within 75 s. With
        # lower values, running tasks would be considered dead while the api-server restarts (ADR 0008).
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": statsd_host,
        "AIRFLOW__METRICS__STATSD_IPV6": str(_has_only_ipv6(statsd_host)),
        "AIRFLOW__METRICS__STATSD_PORT": configuration.addresses["COINWATCH_STATSD_PORT"],
        "AIRFLOW__METRICS__STATSD_PREFIX": "airflow",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    own = {name: value for name, value in user_settings.items() if name.startswith("AIRFLOW_") and value}
    own.pop("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", None)
    return child_environment(configuration, {**application, **settings, **own})


def api_server_command(configuration: Configuration) -> list[str]:
    """The command of the api-server, which serves the user interface and the REST API."""
    options = ["--host", configuration.bind_host, "--port", str(configuration.ports["airflow"]), "--workers", "1"]
    return [*airflow_command(configuration), "api-server", *options, "--proxy-headers"]


def scheduler_command(configuration: Configuration) -> list[str]:
    """The command of the scheduler."""
    # The api-server reads task logs from disk; a log server would only need another port.
    return [*airflow_command(configuration), "scheduler", "--skip-serve-logs"]


def dag_processor_command(configuration: Configuration) -> list[str]:
    """The command of the DAG processor."""
    return [*airflow_command(configuration), "dag-processor"]


def prepare_airflow(configuration: Configuration) -> None:
    """Migrate the metadata database, create the first user and the connection ``coinwatch``, unless that is done."""
    paths = configuration.paths
    home = paths.home / "airflow"
    home.mkdir(mode=0o700, exist_ok=True)
    metadata_url = sqlalchemy_url(configuration.airflow_database)
    setup = AirflowSetup(home / "prepared.json", metadata_url, configuration.addresses["COINWATCH_DATABASE_URL"], ADMIN)
    if setup.is_done():
        return
    environment = {
        **airflow_environment(configuration),
        **setup.environment(),
        "COINWATCH_AIRFLOW_ADMIN_PASSWORD": configuration.user_settings["COINWATCH_AIRFLOW_ADMIN_PASSWORD"],
        "PYTHONPATH": str(paths.project),
    }
    script = paths.project / "local" / "airflow_setup.py"
    run_command(paths, "airflow-setup", [paths.python, "-P", script], environment)
    setup.save()


def sqlalchemy_url(url: str) -> str:
    """``postgresql://…`` with the driver that Airflow uses for its metadata; other URLs are returned unchanged."""
    parts = urlsplit(url)
    if parts.scheme in ("postgresql", "postgres"):
        return urlunsplit(parts._replace(scheme="postgresql+psycopg2"))
    return url


def airflow_command(configuration: Configuration) -> list[str]:
    """The command that runs Airflow's command line."""
    return [str(configuration.paths.python), "-P", str(configuration.paths.project / "local" / "airflow_main.py")]


def _has_only_ipv6(host: str) -> bool:
    """Airflow's client for StatsD uses IPv4 unless configured otherwise."""
    try:
        families = {family for family, *_ in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)}
    except OSError:  # unknown for now
        return ":" in host
    return families == {socket.AF_INET6}
