"""Where the stack keeps its files. Standard library only: ``stop`` must work with a broken virtual environment."""

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local.errors import StackError

MARKER = "COINWATCH_STACK"
LONGEST_SOCKET_PATH = 90  # the kernel takes 107 bytes, and supervisord binds a longer name first


@dataclass(frozen=True)
class Layout:
    """The folders of one stack. ``home`` is .local of the project, or COINWATCH_LOCAL_DIR for a stack beside it."""

    project: Path
    home: Path
    env_file: Path

    @property
    def run(self) -> Path:
        """Generated configuration and pid files; nothing here has to survive a stop."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def python(self) -> Path:
        """The interpreter that runs this: the project's virtual environment's, links not followed."""
        return Path(sys.executable)

    @property
    def bin(self) -> Path:
        return self.python.parent

    @property
    def marker(self) -> str:
        """Value of COINWATCH_STACK in the environment of every process of this stack: how ``stop`` finds them all."""
        return str(self.home)

    @property
    def tag(self) -> str:
        """Twelve characters that name this stack where its path is too long or out of reach."""
        return hashlib.sha256(self.marker.encode()).hexdigest()[:12]

    @property
    def supervisor_socket(self) -> Path:
        path = self.run / "supervisor.sock"
        if len(str(path)) <= LONGEST_SOCKET_PATH:
            return path
        return Path(tempfile.gettempdir()) / f"coinwatch-{os.getuid()}-{self.tag}" / "supervisor.sock"


def find_layout(project: Path) -> Layout:
    """The stack that COINWATCH_LOCAL_DIR names, otherwise the project's own."""
    chosen = os.environ.get("COINWATCH_LOCAL_DIR", "").strip()
    if not chosen:
        return Layout(project, project / ".local", project / ".env")
    home = Path(chosen).expanduser().absolute()
    return Layout(project, home, home / ".env")


def make_folders(layout: Layout) -> None:
    """Create the folders that others must not read, with mode 0700.

    ``home`` itself is 0711 when root starts the stack: the unprivileged user that runs Postgres must pass through it.
    """
    is_root = os.getuid() == 0
    layout.home.mkdir(parents=True, exist_ok=True)
    layout.home.chmod(0o711 if is_root else 0o700)
    for folder in (layout.run, layout.logs):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
    _make_private(layout.supervisor_socket.parent)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, with mode 0600 from the first byte on."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _make_private(folder: Path) -> None:
    """0700 and ours: a folder in /tmp may have been put there by somebody else."""
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if folder.is_symlink() or state.st_uid != os.getuid():
        raise StackError(f"{folder} belongs to somebody else; remove it, or set COINWATCH_LOCAL_DIR to a shorter path.")
    folder.chmod(0o700)
