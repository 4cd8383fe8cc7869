"""The configuration of the stack: settings, which services are ours and which external, and all addresses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from local.environment_file import EnvironmentFile
from local.errors import StackError
from local.paths import Paths
from local.ports import read_ports

FLUSH_SECONDS = 10  # StatsD's flush interval, in graphite/statsd/config.js
GAUGE_TTL_INTERVALS = 3
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Configuration:
    """Everything the other modules need to know.

    ``user_settings``: what the user has set, and secrets. ``addresses``: COINWATCH_* values for the services in use.
    ``runs_*``: whether the stack runs that service itself. ``local_database``: whether coinwatch's database is in its
    Postgres.
    """

    paths: Paths
    user_settings: Mapping[str, str]
    ports: Mapping[str, int]
    bind_host: str
    addresses: Mapping[str, str]
    airflow_database: str
    runs_postgres: bool
    local_database: bool
    runs_statsd: bool
    runs_graphite: bool
    runs_mail_catcher: bool

    @property
    def collect_minutes(self) -> float:
        return _minutes(self.user_settings)

    @property
    def gauge_flushes(self) -> int:
        """The number of StatsD flushes until a gauge expires: three collection intervals, at least a minute."""
        seconds = max(60.0, GAUGE_TTL_INTERVALS * self.collect_minutes * 60)
        return math.ceil(seconds / FLUSH_SECONDS)

    @property
    def admin_url(self) -> str:
        """The superuser's URL of our Postgres or of the external one ('' if unknown)."""
        if not self.local_database:
            return self.user_settings.get("COINWATCH_DATABASE_ADMIN_URL", "")
        return self.superuser_url("postgres")

    def superuser_url(self, database: str) -> str:
        return _postgres_url(
            "postgres", self.user_settings["COINWATCH_POSTGRES_PASSWORD"], self.ports["postgres"], database
        )

    def http(self, port: str) -> str:
        """The URL of one of our web pages, for a browser on this machine."""
        # Airflow's server for :: does not accept IPv4.
        host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.bind_host, self.bind_host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.ports[port]}"


def make_configuration(paths: Paths, file: EnvironmentFile) -> Configuration:
    """Build the configuration. Raises StackError for an invalid or missing setting. Secrets must exist."""
    user_settings = file.user_settings
    _minutes(user_settings)
    _check_base_url(file.get("AIRFLOW__API__BASE_URL"))
    ports = read_ports(user_settings)
    local_database = not file.get("COINWATCH_DATABASE_URL")
    runs_statsd = not file.get("COINWATCH_STATSD_HOST")
    runs_graphite = runs_statsd and not file.get("COINWATCH_GRAPHITE_URL")
    runs_mail_catcher = not file.get("COINWATCH_SMTP_URL")
    airflow_database = file.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
    if not local_database:
        _require_all_database_urls(file)
    if runs_statsd and not runs_graphite and not file.get("COINWATCH_CARBON_HOST"):
        raise StackError(
            "COINWATCH_GRAPHITE_URL is set, but gauges would not reach that Graphite. Also set COINWATCH_STATSD_HOST "
            "(your StatsD), or COINWATCH_CARBON_HOST and COINWATCH_CARBON_PORT (your carbon)."
        )
    configuration = Configuration(
        paths=paths,
        user_settings=user_settings,
        ports=ports,
        bind_host=file.get("COINWATCH_BIND_HOST", LOOPBACK),
        addresses={},
        airflow_database=airflow_database
        or _postgres_url("airflow", user_settings["COINWATCH_AIRFLOW_DATABASE_PASSWORD"], ports["postgres"], "airflow"),
        runs_postgres=local_database or not airflow_database,
        local_database=local_database,
        runs_statsd=runs_statsd,
        runs_graphite=runs_graphite,
        runs_mail_catcher=runs_mail_catcher,
    )
    return _with_addresses(configuration)


def _with_addresses(configuration: Configuration) -> Configuration:
    user_settings, ports = configuration.user_settings, configuration.ports
    generated = {
        "COINWATCH_STATSD_HOST": LOOPBACK,
        "COINWATCH_STATSD_PORT": str(ports["statsd"]),
        "COINWATCH_SMTP_URL": f"smtp://{LOOPBACK}:{ports['smtp']}?tls=none",
        "COINWATCH_EMAIL_FROM": "coinwatch <coinwatch@localhost>",
        "COINWATCH_PUBLIC_URL": configuration.http("web"),
        "COINWATCH_ALERTS_FILE": str(configuration.paths.home / "alerts.txt"),
        "COINWATCH_EXCHANGES__COINNEWS__BASE_URL": f"http://{LOOPBACK}:{ports['coinnews']}",
    }
    for role in ("app", "owner", "reader"):
        variable = "COINWATCH_DATABASE_URL" if role == "app" else f"COINWATCH_DATABASE_{role.upper()}_URL"
        password = user_settings[f"COINWATCH_DATABASE_{role.upper()}_PASSWORD"]
        generated[variable] = _postgres_url(f"coinwatch_{role}", password, ports["postgres"], "coinwatch")
    if configuration.runs_graphite:
        generated["COINWATCH_GRAPHITE_URL"] = f"http://{LOOPBACK}:{ports['graphite']}"
    addresses = {name: user_settings.get(name) or value for name, value in generated.items()}
    if not configuration.runs_graphite and user_settings.get("COINWATCH_GRAPHITE_URL"):
        addresses["COINWATCH_GRAPHITE_URL"] = user_settings["COINWATCH_GRAPHITE_URL"]
    return replace(configuration, addresses=addresses)


def _require_all_database_urls(file: EnvironmentFile) -> None:
    names = ("COINWATCH_DATABASE_URL", "COINWATCH_DATABASE_OWNER_URL", "COINWATCH_DATABASE_READER_URL")
    for name in names:
        value = file.get(name)
        if not value:
            raise StackError(
                f"COINWATCH_DATABASE_URL is set, so {name} is required too: "
                "the owner runs migrations, the reader is for Grafana."
            )
        parts = urlsplit(value)
        if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
            raise StackError(f"{name} must have the form postgresql://user:password@host:port/database.")


def _check_base_url(url: str) -> None:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise StackError(f"AIRFLOW__API__BASE_URL is {url!r}; it must be a URL such as https://example.org/airflow.")


def _minutes(user_settings: Mapping[str, str]) -> float:
    text = user_settings.get("COINWATCH_COLLECT_SCHEDULE_MINUTES") or "3"
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= 1440:
        raise StackError(f"COINWATCH_COLLECT_SCHEDULE_MINUTES is {text!r}; it must be a number above 0, up to 1440.")
    return minutes


def _postgres_url(user: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@{LOOPBACK}:{port}/{database}"
