"""Another database server, started on a free port with its data in a temporary folder."""

import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from tests.support.ports import free_port


class Missing(Exception):
    """The program is not installed; the message says how to install it."""


class Program(ABC):
    """A context manager. ``session`` is a persistent HTTP connection to the server."""

    name: str
    binary: str
    package: str
    version: str

    def __init__(self) -> None:
        if shutil.which(self.binary) is None:
            raise Missing(f"{self.name} skipped: {self.binary} is not on PATH (Debian package: {self.package})")
        self.folder = Path(tempfile.mkdtemp(prefix=f"coinwatch-{self.binary}-"))
        self.session = requests.Session()
        self.session.trust_env = False
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> tuple[Sequence[str], dict[str, str]]:
        """The command line arguments and environment to start it."""

    @property
    @abstractmethod
    def health(self) -> str:
        """The path that returns success when it is ready."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        self.port = free_port()
        arguments, environment = self.command()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [shutil.which(self.binary) or self.binary, *arguments], env=environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.session.get(self.url + self.health, timeout=5).ok:
                    return
            except requests.ConnectionError:
                pass
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"{self.name} did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def get(self, path: str, **parameters: str | float) -> requests.Response:
        response = self.session.get(self.url + path, params=parameters)
        response.raise_for_status()
        return response

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server; SIGKILL simulates a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=300)
            self._process = None

    def disk_bytes(self) -> int:
        """Disk space used by its files; sparse parts do not count."""
        return sum(file.stat().st_blocks * 512 for file in self.folder.rglob("*") if file.is_file())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
