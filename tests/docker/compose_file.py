"""docker/compose.yaml as data: anchors resolved, variables not expanded."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
DOCKER = PROJECT / "docker"
VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z0-9_]+)(?::(?P<kind>[-?+])(?P<rest>[^${}]*))?")


@cache
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    return found


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in services()[service].get("environment", {}).items()}


def defaults() -> dict[str, str]:
    """The default of every variable that has one."""
    text = (DOCKER / "compose.yaml").read_text()
    return {found["name"]: found["rest"] for found in VARIABLE.finditer(text) if found["kind"] == "-" and found["rest"]}
