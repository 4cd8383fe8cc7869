"""A real nginx with the configuration in docs/reverse-proxy.md, and a certificate of its own."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reverse-proxy.md"
NAMES = ("nginx", "/usr/sbin/nginx")
AROUND = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    scgi_temp_path {folder};
    uwsgi_temp_path {folder};
    {servers}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running nginx. ``host`` is its name and port as clients see it."""

    host: str
    port: int
    certificate: Path
    folder: Path

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def log(self) -> str:
        """The access log of the documented configuration."""
        return (self.folder / "coinwatch.log").read_text()


@contextmanager
def documented_proxy(folder: Path, port: int, backends: dict[str, int], changes: Iterable[str]) -> Iterator[Proxy]:
    """nginx on ``port``, with the backends' ports in place of the documented ones; skips the test without nginx.

    ``changes`` are further replacements in the configuration: ``old => new``.
    """
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("needs nginx (Debian: nginx-light)")
    certificate, key = _make_certificate(folder)
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    servers = found[1]
    for old, new in (
        *(change.split(" => ") for change in changes),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("home.example.org;", "prices.localhost;"),
        ("/etc/ssl/home.example.org.pem", str(certificate)),
        ("/etc/ssl/home.example.org.key", str(key)),
        ("/var/log/nginx", str(folder)),
        *((f"127.0.0.1:{documented}", f"127.0.0.1:{actual}") for documented, actual in backends.items()),
    ):
        assert old in servers, old
        servers = servers.replace(old, new)
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(folder=folder, servers=servers))
    command = [program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(configuration)]
    with subprocess.Popen([*command, "-g", "daemon off;"], stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for_port(port, process)
            yield Proxy(f"prices.localhost:{port}", port, certificate, folder)
        finally:
            process.terminate()


def _wait_for_port(port: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    raise AssertionError(f"nginx did not start: {process.communicate()[1]}")


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=prices.localhost", "-addext", "subjectAltName=DNS:prices.localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    return certificate, key
