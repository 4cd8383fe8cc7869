"""Projects in folders whose names contain characters that configuration files treat as syntax."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from alembic.config import Config

from local.airflow_main import accept_percent_in_paths

PROJECT = Path(__file__).parents[3]
FOLDER = """my "coins" (50%) #1; $HOME it's"""
# Starts a supervisor with one service, in a process of its own, as local_run.sh does.
SCRIPT = """
import sys, time
from pathlib import Path
from local import supervisor
from local.paths import Paths, make_folders
from local.readiness import Check
from local.stack import Service, write_specification

project, home = Path(sys.argv[1]), Path(sys.argv[2])
paths = Paths(project, home, home / ".env")
make_folders(paths)
command = [sys.executable, "-c", "import time; print('running', flush=True); time.sleep(60)"]
service = Service("example", "Example", command, {"COINWATCH_STACK": str(home)}, home, Check("http", ("",)), "")
configuration = supervisor.write_configuration(paths, [write_specification(paths, service)])
supervisor.start_supervisor(paths, configuration, {})
try:
    supervisor.start_program(paths, "example")
    while "running" not in (paths.logs / "example.log").read_text():
        time.sleep(0.1)
finally:
    supervisor.shut_down(paths)
    while supervisor.is_running(paths):
        time.sleep(0.1)
"""


def test_supervisor_starts_services_in_any_folder(tmp_path: Path) -> None:
    project = tmp_path / FOLDER
    project.symlink_to(PROJECT)
    home = tmp_path / f"{FOLDER} home"
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), project, home]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, timeout=40, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "spawned: 'example'" in (home / "logs" / "supervisord.log").read_text()


def test_alembic_of_airflow_works_in_a_folder_with_percent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Config, "get_section", Config.get_section)  # restored after the test
    accept_percent_in_paths()
    folder = tmp_path / "my coins (50%) #1"
    folder.mkdir()
    (folder / "alembic.ini").write_text(
        "[alembic]\nscript_location = x\n[post_write_hooks]\nhooks = a\na.type = exec\na.options = %(base)s\nbase = b\n"
    )
    config = Config(folder / "alembic.ini")
    assert config.get_hooks_list() == [{"type": "exec", "options": "b", "_hook_name": "a"}]
    assert config.get_section("missing", {}) == {}
