"""The environment of each process: what it needs, as in Docker's containers, and nothing else.

No process of the stack reads .env, which contains every secret; only the user's own commands do.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from local.configuration import LOOPBACK, Configuration

# What servers get of the user's environment, which may contain the secrets of other programs.
INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TMPDIR|LD_LIBRARY_PATH|(?:https?|all|no)_proxy"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS",
    re.IGNORECASE,
)
# What not even a command that installs packages gets: it would override the configuration of the stack.
DROPPED = ("COINWATCH_", "AIRFLOW_", "GF_", "PG", "GRAPHITE_", "STATSD_", "MAILDEV_", "PYTHON", "VIRTUAL_ENV")
# Settings that a process of our own code gets only if it names them; others with these endings, it never gets.
PRIVATE = frozenset(
    f"COINWATCH_{name}"
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_READER_URL", "SECRET_KEY", "API_TOKEN", "SMTP_URL")
)
NEVER = (
    "_PASSWORD",
    "_GRAFANA_SECRET_KEY",
    "_GRAPHITE_SECRET_KEY",
    "_LOCAL_DIR",
    "_ADMIN_URL",
    "_AIRFLOW_DATABASE_URL",
)


def child_environment(configuration: Configuration, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """For commands, and for Airflow, whose DAGs may use credentials such as AWS_*: the user's environment without
    settings of the stack, plus ``extra``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    return {**inherited, **_common(configuration), **(extra or {})}


def server_environment(configuration: Configuration, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """For servers: a few variables of the user's environment, plus ``extra``."""
    inherited = {name: value for name, value in os.environ.items() if INHERITED.fullmatch(name)}
    return {**inherited, **_common(configuration), **(extra or {})}


def application_settings(configuration: Configuration, *private: str) -> dict[str, str]:
    """The COINWATCH_* variables of our own code: the user's settings, the addresses, and the named ``private`` ones."""
    paths = configuration.paths
    settings = {
        name: value
        for name, value in {**configuration.user_settings, **configuration.addresses}.items()
        if name.startswith("COINWATCH_")
        and not (name.endswith(NEVER) or name in PRIVATE - {f"COINWATCH_{wanted}" for wanted in private})
    }
    if "COINWATCH_CONFIG" in settings:
        settings["COINWATCH_CONFIG"] = str(Path(settings["COINWATCH_CONFIG"]).absolute())
    return {**settings, "COINWATCH_HOME": str(paths.project), "COINWATCH_ENV_FILE": os.devnull}


def _common(configuration: Configuration) -> dict[str, str]:
    paths = configuration.paths
    without_proxy = _without_proxy(configuration)
    return {
        "PATH": f"{paths.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "COINWATCH_STACK": paths.marker,
        # Keeps setproctitle from overwriting the memory in which /proc shows the marker.
        "SPT_NOENV": "1",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": without_proxy,
        "no_proxy": without_proxy,
    }


def _without_proxy(configuration: Configuration) -> str:
    """The user's list of hosts without proxy, and this machine's addresses: no proxy can reach them."""
    hosts = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")).split(",")
    own = [LOOPBACK, "localhost", "::1", configuration.bind_host]
    return ",".join(dict.fromkeys(host.strip() for host in [*hosts, *own] if host.strip()))
