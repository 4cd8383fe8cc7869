"""What runs and whether it is ready: for ``status``, the table after a start, and the foreground's short log."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from local import supervisor
from local.layout import Layout
from local.postgres_places import possible_homes
from local.processes import find_processes
from local.readiness import Check, run_check

WORDS = {"BACKOFF": "restarting", "FATAL": "gave up", "EXITED": "restarting", "STOPPED": "stopped"}


@dataclass(frozen=True)
class Part:
    """``state``: ready, starting (runs, does not answer yet), restarting, gave up, stopped, or yours. ``reason`` says
    why it is not ready."""

    name: str
    title: str
    state: str
    address: str
    login: str = ""
    pid: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Status:
    """``state``: ready (every part), not ready, unsupervised (parts run, their supervisor is gone), stopped."""

    state: str
    parts: tuple[Part, ...] = ()
    missing: tuple[str, ...] = ()
    processes: int = 0

    def as_json(self) -> str:
        services = {
            part.name: {
                "title": part.title,
                "state": part.state,
                "address": part.address,
                "pid": part.pid or None,
                "reason": part.reason or None,
            }
            for part in self.parts
        }
        return json.dumps({"state": self.state, "services": services, "missing": self.missing}, indent=2)


def read_status(layout: Layout) -> Status:
    """Ask supervisord for the processes and every part itself whether it is ready."""
    try:
        states = supervisor.read_states(layout)
        saved = json.loads((layout.run / "stack.json").read_text())
    except OSError:
        left = find_processes(layout.marker, [home / "data" for home in possible_homes(layout)])
        return Status("unsupervised" if left else "stopped", processes=len(left))
    with ThreadPoolExecutor(max_workers=8) as pool:
        parts = list(pool.map(lambda part: _look_at(part, states.get(part["name"])), saved["parts"]))
    used = [Part(_name(row["setting"]), row["title"], "yours", row["address"]) for row in saved["used"]]
    ready = all(part.state == "ready" for part in parts)
    return Status("ready" if ready else "not ready", (*parts, *used), tuple(saved["missing"]))


def _look_at(saved: dict[str, object], state: supervisor.ProgramState | None) -> Part:
    name, title, address, login = (str(saved[key]) for key in ("name", "title", "address", "login"))
    if state is None or state.state not in ("RUNNING", "STARTING"):
        word = WORDS.get(state.state, "stopped") if state else "stopped"
        return Part(name, title, word, address, login, 0, f"ended with exit code {state.exit_status}" if state else "")
    check = cast("dict[str, Any]", saved["check"])
    reason = run_check(Check(check["kind"], tuple(check["arguments"])), state.started)
    return Part(name, title, "starting" if reason else "ready", address, login, state.pid, reason or "")


def _name(setting: str) -> str:
    return setting.removeprefix("COINWATCH_").lower()
