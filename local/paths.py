"""Where the stack keeps its files. Standard library only: ``stop`` must work with a broken virtual environment."""

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local.errors import StackError

MARKER = "COINWATCH_STACK"
# Data of a Postgres that runs as another user, who cannot enter the project's folder.
OUTSIDE = Path("/var/lib/coinwatch")
MAX_SOCKET_PATH = 90  # the kernel allows 107 bytes, and supervisord first binds a longer name


@dataclass(frozen=True)
class Paths:
    """The folders of one stack. ``home`` is the project's .local, or COINWATCH_LOCAL_DIR for a second stack."""

    project: Path
    home: Path
    env_file: Path

    @property
    def run(self) -> Path:
        """Generated configuration and pid files, written again at every start."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def python(self) -> Path:
        """The interpreter running this code, in the project's virtual environment; links are not resolved."""
        return Path(sys.executable)

    @property
    def bin(self) -> Path:
        return self.python.parent

    @property
    def marker(self) -> str:
        """The value of COINWATCH_STACK in the environment of all processes of this stack; ``stop`` finds them by it."""
        return str(self.home)

    @property
    def tag(self) -> str:
        """Twelve characters that identify this stack where its path would be too long or not accessible."""
        return hashlib.sha256(self.marker.encode()).hexdigest()[:12]

    @property
    def supervisor_socket(self) -> Path:
        path = self.run / "supervisor.sock"
        if len(str(path)) <= MAX_SOCKET_PATH:
            return path
        return Path(tempfile.gettempdir()) / f"coinwatch-{os.getuid()}-{self.tag}" / "supervisor.sock"

    @property
    def postgres_homes(self) -> tuple[Path, Path]:
        """Where Postgres may keep its files: inside ``home``, or outside (see postgres.py). Links are resolved."""
        return Path(os.path.realpath(self.home / "postgres")), Path(os.path.realpath(OUTSIDE / self.tag))

    @property
    def postgres_data(self) -> list[Path]:
        """The possible data directories of Postgres."""
        return [home / "data" for home in self.postgres_homes]


def find_paths(project: Path) -> Paths:
    """The paths of the stack in COINWATCH_LOCAL_DIR, or of the project's own stack."""
    folder = os.environ.get("COINWATCH_LOCAL_DIR", "").strip()
    if not folder:
        return Paths(project, project / ".local", project / ".env")
    home = Path(folder).expanduser().absolute()
    return Paths(project, home, home / ".env")


def make_folders(paths: Paths) -> None:
    """Create the folders with mode 0700, so that other users cannot read them.

    ``home`` itself has mode 0711 if root starts the stack: the unprivileged user that runs Postgres must enter it.
    """
    is_root = os.getuid() == 0
    paths.home.mkdir(parents=True, exist_ok=True)
    paths.home.chmod(0o711 if is_root else 0o700)
    for folder in (paths.run, paths.logs):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
    _make_private(paths.supervisor_socket.parent)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it has mode 0600 before anything is written."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")


def _make_private(folder: Path) -> None:
    """Create the folder with mode 0700 and check its owner: in /tmp, another user may have created it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if folder.is_symlink() or state.st_uid != os.getuid():
        raise StackError(f"{folder} belongs to another user. Remove it, or set COINWATCH_LOCAL_DIR to a shorter path.")
    folder.chmod(0o700)
