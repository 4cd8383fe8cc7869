"""Which Grafana runs: an installed one, a download with the pinned digest, or none, with the reason."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local import grafana
from local.configuration import Configuration, make_configuration
from local.environment_file import SECRETS, EnvironmentFile
from local.errors import StackError
from local.paths import Paths


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("GRAFANA_HOME", raising=False)


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """A minimal release archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("grafana-13/bin/grafana")
        member.mode, member.size = 0o755, 10
        tar.addfile(member, io.BytesIO(b"#!/bin/sh\n"))
    return buffer.getvalue()


@pytest.fixture
def mirror(tmp_path: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local server that replaces the download server."""
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "grafana.tar.gz").write_bytes(archive)
    handler = partial(_Quiet, directory=str(tmp_path / "mirror"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(grafana, "BUILD", f"http://127.0.0.1:{server.server_port}/grafana.tar.gz?{{}}")
        yield
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def configure(tmp_path: Path, **settings: str) -> Configuration:
    paths = Paths(tmp_path / "project", tmp_path / "home", tmp_path / ".env")
    secrets = dict.fromkeys(SECRETS, "a-long-enough-secret-value-for-all-of-them")
    return make_configuration(paths, EnvironmentFile(paths.env_file, {**secrets, **settings}, {}))


def make_home(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "grafana").touch(mode=0o755)
    return folder


def silent(_: str) -> None:
    pass


def test_grafana_home_is_used(tmp_path: Path) -> None:
    home = make_home(tmp_path / "mine")
    assert grafana.find_grafana(configure(tmp_path, GRAFANA_HOME=str(home)), silent).home == home


def test_grafana_home_without_grafana_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(grafana.NoGrafana, match="GRAFANA_HOME"):
        grafana.find_grafana(configure(tmp_path, GRAFANA_HOME=str(tmp_path)), silent)


@pytest.mark.usefixtures("mirror")
def test_download_with_the_pinned_digest_is_reused(
    tmp_path: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(archive).hexdigest()
    monkeypatch.setattr(grafana, "DIGESTS", dict.fromkeys(grafana.DIGESTS, digest))
    messages: list[str] = []
    found = grafana.find_grafana(configure(tmp_path), messages.append)
    assert found.binary.is_file()
    assert grafana.find_grafana(configure(tmp_path), messages.append) == found
    assert len([line for line in messages if "downloading" in line]) == 1


@pytest.mark.usefixtures("mirror")
def test_download_with_wrong_digest_is_discarded(tmp_path: Path) -> None:
    with pytest.raises(grafana.NoGrafana, match="SHA-256"):
        grafana.find_grafana(configure(tmp_path), silent)
    assert not list((tmp_path / "project").rglob("*grafana*"))


def test_unreachable_host_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grafana, "BUILD", "http://127.0.0.1:1/{}")
    with pytest.raises(grafana.NoGrafana, match=r"127\.0\.0\.1 is unreachable"):
        grafana.find_grafana(configure(tmp_path), silent)


@pytest.mark.parametrize("name", ["COINWATCH_GRAFANA_URL", "COINWATCH_GRAFANA_SHA256"])
def test_url_requires_its_digest(tmp_path: Path, name: str) -> None:
    with pytest.raises(StackError, match="Set both"):
        grafana.find_grafana(configure(tmp_path, **{name: "https://mirror.example.org/grafana.tar.gz"}), silent)
