"""Which services run and whether they are ready, for ``status`` and the table after a start."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from local import supervisor
from local.paths import Paths
from local.processes import find_processes
from local.readiness import Check, run_check

WORDS = {"BACKOFF": "restarting", "FATAL": "failed", "EXITED": "restarting", "STOPPED": "stopped"}


@dataclass(frozen=True)
class ServiceStatus:
    """``state``: ready, starting (runs but is not ready yet), restarting, failed, stopped, or external (not ours).
    ``reason``: why it is not ready."""

    name: str
    title: str
    state: str
    address: str
    login: str = ""
    pid: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Status:
    """``state``: ready (all services), not ready, unsupervised (services run without their supervisor), stopped."""

    state: str
    services: tuple[ServiceStatus, ...] = ()
    missing: tuple[str, ...] = ()
    processes: int = 0

    def as_json(self) -> str:
        services = {
            service.name: {
                "title": service.title,
                "state": service.state,
                "address": service.address,
                "pid": service.pid or None,
                "reason": service.reason or None,
            }
            for service in self.services
        }
        return json.dumps({"state": self.state, "services": services, "missing": self.missing}, indent=2)


def read_status(paths: Paths) -> Status:
    """Ask supervisord for its processes, and each service whether it is ready."""
    try:
        states = supervisor.read_states(paths)
        saved = json.loads((paths.run / "stack.json").read_text())
    except OSError:
        left = find_processes(paths.marker, paths.postgres_data)
        return Status("unsupervised" if left else "stopped", processes=len(left))
    with ThreadPoolExecutor(max_workers=8) as pool:
        services = list(pool.map(lambda row: _check(row, states.get(row["name"])), saved["services"]))
    external = [
        ServiceStatus(_name(row["setting"]), row["title"], "external", row["address"]) for row in saved["external"]
    ]
    ready = all(service.state == "ready" for service in services)
    return Status("ready" if ready else "not ready", (*services, *external), tuple(saved["missing"]))


def _check(saved: dict[str, object], state: supervisor.ProgramState | None) -> ServiceStatus:
    name, title, address, login = (str(saved[key]) for key in ("name", "title", "address", "login"))
    if state is None or state.state not in ("RUNNING", "STARTING"):
        word = WORDS.get(state.state, "stopped") if state else "stopped"
        reason = f"exited with code {state.exit_status}" if state else ""
        return ServiceStatus(name, title, word, address, login, 0, reason)
    check = cast("dict[str, Any]", saved["check"])
    problem = run_check(Check(check["kind"], tuple(check["arguments"])), state.started)
    return ServiceStatus(name, title, "starting" if problem else "ready", address, login, state.pid, problem or "")


def _name(setting: str) -> str:
    return setting.removeprefix("COINWATCH_").lower()
