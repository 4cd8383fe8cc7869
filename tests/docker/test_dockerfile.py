"""docker/Dockerfile builds on older engines, and its images run without root."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.compose_file import DOCKER, PROJECT

TEXT = (DOCKER / "Dockerfile").read_text()
HADOLINT = Path(sys.executable).parent / "hadolint"
STAGES = re.split(r"^(?=FROM )", TEXT, flags=re.MULTILINE)[1:]


def test_hadolint_reports_no_problems() -> None:
    done = subprocess.run([HADOLINT, DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_uses_the_default_frontend() -> None:
    assert "# syntax=" not in TEXT
    assert "--link" not in TEXT
    assert "<<" not in TEXT


def test_only_the_base_image_is_configurable() -> None:
    bases = [line.split()[1] for line in TEXT.splitlines() if line.startswith("FROM ")]
    stages = {line.split()[3] for line in TEXT.splitlines() if line.startswith("FROM ")}
    assert set(bases) - stages == {"${PYTHON_IMAGE}"}
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+-slim", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("target", ["coinwatch", "coinwatch-airflow"])
def test_image_runs_as_non_root_user_with_health_check(target: str) -> None:
    stage = next(text for text in STAGES if text.splitlines()[0].endswith(f" AS {target}"))
    assert "USER 50000" in stage
    assert "HEALTHCHECK" in stage
    assert "FROM runtime" in stage


def test_build_context_is_limited_to_listed_files() -> None:
    assert 'org.opencontainers.image.licenses="Apache-2.0"' in TEXT
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    for line in ignored:
        if line.startswith("!"):
            assert (PROJECT / line[1:]).exists(), line
    assert {"**/.env", "**/node_modules", "**/__pycache__"} <= set(ignored)


def test_packages_are_installed_from_the_lock_file() -> None:
    assert all("--frozen" in line for line in TEXT.splitlines() if re.search(r"\buv sync\b", line))
    assert "pip install" in TEXT
    assert TEXT.count("pip install") == 1  # uv itself, pinned
    assert '"uv==${UV_VERSION}"' in TEXT
