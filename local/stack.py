"""What a stack consists of, and the files that describe it: for launch.py, and for ``status`` and the final table."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.grafana import Grafana
from local.node import Node
from local.paths import Paths, write_private
from local.postgres import Postgres
from local.readiness import Check
from local.supervisor import Program


@dataclass(frozen=True)
class Service:
    """One service. ``address``: for users and clients. ``ports``: the entries of ports.PORTS that it binds.

    ``ready_seconds``: the time limit until it is ready. ``grace_seconds``: how long children of a killed process may
    continue their work.
    """

    name: str
    title: str
    command: list[str]
    environment: Mapping[str, str]
    directory: Path
    check: Check
    address: str
    ports: tuple[str, ...] = ()
    user: str | None = None
    postgres_data: Path | None = None
    remove: tuple[Path, ...] = ()
    grace_seconds: float = 0
    stop_signal: str = "TERM"
    stop_seconds: int = 12
    ready_seconds: float = 120
    login: str = ""


@dataclass(frozen=True)
class Tools:
    """Programs found on this machine, for services that need more than Python."""

    postgres: Postgres | None = None
    node: Node | None = None
    node_modules: Path | None = None
    grafana: Grafana | None = None


@dataclass(frozen=True)
class External:
    """An external service, used instead of ours; ``setting`` configures it."""

    title: str
    address: str
    setting: str


@dataclass(frozen=True)
class Stack:
    """The services to run, and the external ones that replace others."""

    services: dict[str, Service] = field(default_factory=dict)
    external: tuple[External, ...] = ()


def write_specification(paths: Paths, service: Service) -> Program:
    """Write the file for launch.py (mode 0600, because it has secrets); returns the program for supervisord."""
    path = paths.run / f"{service.name}.json"
    specification = {
        "command": service.command,
        "environment": {**service.environment, "COINWATCH_SERVICE": service.name},
        "directory": str(service.directory),
        "user": service.user,
        "remove": [str(path) for path in service.remove],
        "postgres_data": os.path.realpath(service.postgres_data) if service.postgres_data else None,
        "grace_seconds": service.grace_seconds,
    }
    write_private(path, json.dumps(specification))
    return Program(service.name, path, service.stop_signal, service.stop_seconds)


def save_stack(paths: Paths, stack: Stack, missing: tuple[str, ...]) -> None:
    """Write what ``status`` and the final table show (mode 0600, because checks may have a password)."""
    services = [
        {"name": s.name, "title": s.title, "address": s.address, "login": s.login, "check": asdict(s.check)}
        for s in stack.services.values()
    ]
    external = [asdict(service) for service in stack.external]
    text = json.dumps({"services": services, "external": external, "missing": missing})
    write_private(paths.run / "stack.json", text)
