"""What this stack consists of: the settings read, our own services told from the user's, all addresses worked out."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from local.environment_file import EnvironmentFile
from local.errors import StackError
from local.layout import Layout
from local.ports import read_ports

FLUSH_SECONDS = 10  # StatsD's flush interval, in graphite/statsd/config.js
INTERVALS_BEFORE_A_SERIES_ENDS = 3
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Configuration:
    """All that the other modules need to know. ``addresses`` are the COINWATCH_* values that describe the services in
    use, ours or the user's; ``chosen`` is what the user (or the first start) wrote."""

    layout: Layout
    chosen: Mapping[str, str]
    ports: Mapping[str, int]
    bind_host: str
    addresses: Mapping[str, str]
    airflow_database: str
    own_postgres: bool
    own_database: bool
    own_statsd: bool
    own_graphite: bool
    own_mail: bool

    @property
    def collect_minutes(self) -> float:
        return _minutes(self.chosen)

    @property
    def gauge_flushes(self) -> int:
        """How many StatsD flushes a gauge outlives its last value: three collection intervals, at least a minute."""
        seconds = max(60.0, INTERVALS_BEFORE_A_SERIES_ENDS * self.collect_minutes * 60)
        return math.ceil(seconds / FLUSH_SECONDS)

    @property
    def admin_url(self) -> str:
        """The superuser's URL of our Postgres, or the one the user gave for theirs ('' when there is none)."""
        if not self.own_database:
            return self.chosen.get("COINWATCH_DATABASE_ADMIN_URL", "")
        return self.superuser_url("postgres")

    def superuser_url(self, database: str) -> str:
        return _postgres_url("postgres", self.chosen["COINWATCH_POSTGRES_PASSWORD"], self.ports["postgres"], database)

    def http(self, port: str) -> str:
        """Address of one of our web pages as a browser on this machine opens it."""
        host = LOOPBACK if self.bind_host in ("0.0.0.0", "::", LOOPBACK) else self.bind_host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.ports[port]}"


def make_configuration(layout: Layout, file: EnvironmentFile) -> Configuration:
    """Work everything out; StackError names the variable that is wrong or missing. Secrets must be there already."""
    chosen = file.chosen
    _minutes(chosen)
    ports = read_ports(chosen)
    own_database = not file.get("COINWATCH_DATABASE_URL")
    own_statsd = not file.get("COINWATCH_STATSD_HOST")
    own_graphite = own_statsd and not file.get("COINWATCH_GRAPHITE_URL")
    own_mail = not file.get("COINWATCH_SMTP_URL")
    airflow_database = file.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
    if not own_database:
        _require_all_database_urls(file)
    if own_statsd and not own_graphite and not file.get("COINWATCH_CARBON_HOST"):
        raise StackError(
            "COINWATCH_GRAPHITE_URL is set, so our Graphite is not started, but gauges would not reach yours: set "
            "COINWATCH_STATSD_HOST (your StatsD), or COINWATCH_CARBON_HOST and COINWATCH_CARBON_PORT (your carbon)."
        )
    configuration = Configuration(
        layout=layout,
        chosen=chosen,
        ports=ports,
        bind_host=file.get("COINWATCH_BIND_HOST", LOOPBACK),
        addresses={},
        airflow_database=airflow_database
        or _postgres_url("airflow", chosen["COINWATCH_AIRFLOW_DATABASE_PASSWORD"], ports["postgres"], "airflow"),
        own_postgres=own_database or not airflow_database,
        own_database=own_database,
        own_statsd=own_statsd,
        own_graphite=own_graphite,
        own_mail=own_mail,
    )
    return _with_addresses(configuration)


def _with_addresses(configuration: Configuration) -> Configuration:
    chosen, ports = configuration.chosen, configuration.ports
    generated = {
        "COINWATCH_STATSD_HOST": LOOPBACK,
        "COINWATCH_STATSD_PORT": str(ports["statsd"]),
        "COINWATCH_SMTP_URL": f"smtp://{LOOPBACK}:{ports['smtp']}?tls=none",
        "COINWATCH_EMAIL_FROM": "coinwatch <coinwatch@localhost>",
        "COINWATCH_PUBLIC_URL": configuration.http("web"),
        "COINWATCH_ALERTS_FILE": str(configuration.layout.home / "alerts.txt"),
        "COINWATCH_EXCHANGES__COINNEWS__BASE_URL": f"http://{LOOPBACK}:{ports['coinnews']}",
    }
    for role in ("app", "owner", "reader"):
        variable = "COINWATCH_DATABASE_URL" if role == "app" else f"COINWATCH_DATABASE_{role.upper()}_URL"
        password = chosen[f"COINWATCH_DATABASE_{role.upper()}_PASSWORD"]
        generated[variable] = _postgres_url(f"coinwatch_{role}", password, ports["postgres"], "coinwatch")
    if configuration.own_graphite:
        generated["COINWATCH_GRAPHITE_URL"] = f"http://{LOOPBACK}:{ports['graphite']}"
    addresses = {name: chosen.get(name) or value for name, value in generated.items()}
    if not configuration.own_graphite and chosen.get("COINWATCH_GRAPHITE_URL"):
        addresses["COINWATCH_GRAPHITE_URL"] = chosen["COINWATCH_GRAPHITE_URL"]
    return Configuration(**{**configuration.__dict__, "addresses": addresses})


def _require_all_database_urls(file: EnvironmentFile) -> None:
    names = ("COINWATCH_DATABASE_URL", "COINWATCH_DATABASE_OWNER_URL", "COINWATCH_DATABASE_READER_URL")
    for name in names:
        value = file.get(name)
        if not value:
            raise StackError(
                f"COINWATCH_DATABASE_URL points to your own database, so {name} is needed too: "
                "the owner's URL is for migrations, the reader's for Grafana."
            )
        parts = urlsplit(value)
        if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
            raise StackError(f"{name} is not of the form postgresql://user:password@host:port/database.")


def _minutes(chosen: Mapping[str, str]) -> float:
    text = chosen.get("COINWATCH_COLLECT_SCHEDULE_MINUTES") or "3"
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= 1440:
        raise StackError(f"COINWATCH_COLLECT_SCHEDULE_MINUTES is {text!r}; it must be minutes between 0 and 1440.")
    return minutes


def _postgres_url(user: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@{LOOPBACK}:{port}/{database}"


def child_environment(configuration: Configuration, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every process of the stack gets: the user's environment without anybody's settings and secrets, the marker,
    and ``extra``."""
    dropped = ("COINWATCH_", "AIRFLOW_", "GF_", "PG", "GRAPHITE_", "STATSD_", "MAILDEV_", "PYTHON", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    layout = configuration.layout
    environment["PATH"] = f"{layout.bin}{os.pathsep}{environment.get('PATH', os.defpath)}"
    environment["COINWATCH_STACK"] = layout.marker
    # setproctitle would otherwise overwrite the memory in which /proc shows the marker.
    environment["SPT_NOENV"] = "1"
    environment["TZ"] = "UTC"
    environment["PYTHONUNBUFFERED"] = "1"
    return {**environment, **(extra or {})}


def application_environment(configuration: Configuration) -> dict[str, str]:
    """For our own code: every COINWATCH_* setting the user made, and the addresses. Passwords of the superuser and of
    the pages are left out, the code has no use for them."""
    hidden = ("_PASSWORD", "_GRAFANA_SECRET_KEY", "_GRAPHITE_SECRET_KEY", "_LOCAL_DIR", "_ADMIN_URL")
    chosen = {
        name: value
        for name, value in configuration.chosen.items()
        if name.startswith("COINWATCH_") and not name.endswith(hidden)
    }
    layout = configuration.layout
    if "COINWATCH_CONFIG" in chosen:
        chosen["COINWATCH_CONFIG"] = str(Path(chosen["COINWATCH_CONFIG"]).absolute())
    places = {"COINWATCH_HOME": str(layout.project), "COINWATCH_ENV_FILE": str(layout.env_file)}
    return child_environment(configuration, {**chosen, **places, **configuration.addresses})
