"""A backup that cannot be written is reported before the database is asked."""

from pathlib import Path

import pytest

from local.backup import back_up
from local.configuration import Configuration, make_configuration
from local.environment_file import SECRETS, EnvironmentFile
from local.errors import StackError
from local.paths import Paths
from local.status import Status

RUNNING, STOPPED = Status("ready"), Status("stopped")


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    paths = Paths(tmp_path, tmp_path / ".local", tmp_path / ".env")
    secrets = {name: f"secret-value-{number}" for number, name in enumerate(SECRETS)}
    return make_configuration(paths, EnvironmentFile(paths.env_file, secrets, {}))


def test_existing_file_is_not_overwritten(configuration: Configuration, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("of yesterday")
    with pytest.raises(StackError, match="exists"):
        back_up(configuration, file, RUNNING)
    assert file.read_text() == "of yesterday"


def test_missing_folder_is_reported(configuration: Configuration, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"The folder .*new does not exist"):
        back_up(configuration, tmp_path / "new" / "backup", RUNNING)


def test_backup_of_a_stopped_stack_says_how_to_start_it(configuration: Configuration, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"Start with \./local_run\.sh start"):
        back_up(configuration, tmp_path / "backup", STOPPED)
    assert not list(tmp_path.iterdir())
