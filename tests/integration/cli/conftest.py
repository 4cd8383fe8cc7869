"""The command line on the test's own database."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.support.command_line import Command, run_coinwatch


@pytest.fixture
def environment(database: Database) -> dict[str, str]:
    """Variables for ``coinwatch``, in addition to those of the test process."""
    return {
        "COINWATCH_DATABASE_URL": database.url("app"),
        "COINWATCH_DATABASE_OWNER_URL": database.url("owner"),
        "COINWATCH_SECRET_KEY": "for-this-test-run-only",
        "COINWATCH_STATSD_PORT": "1",
        "COLUMNS": "200",
    }


@pytest.fixture
def coinwatch(environment: dict[str, str], tmp_path: Path) -> Command:
    """``coinwatch(*arguments, **variables)`` runs a command in ``tmp_path``."""

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_coinwatch(*map(str, arguments), environment=environment | variables, folder=tmp_path)

    return run
