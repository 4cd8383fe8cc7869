"""Completion of ``local_run.sh`` and of the commands after ``local_run.sh coinwatch``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
SCRIPT = """
source <(./local_run.sh completion bash)
COMP_WORDS=({words}) COMP_CWORD={last}
_coinwatch_local_run ./local_run.sh
printf "%s\\n" "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the script with a virtual environment that has coinwatch."""
    (tmp_path / "local").symlink_to(PROJECT / "local")
    (tmp_path / "local_run.sh").write_bytes((PROJECT / "local_run.sh").read_bytes())
    (tmp_path / "local_run.sh").chmod(0o755)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["./local_run.sh", "lo"], ["logs"]),
        (["./local_run.sh", "coinwatch", "mov"], ["movers"]),
        (["./local_run.sh", "coinwatch", "history", "--l"], ["--last", "--limit"]),
        (["./local_run.sh", "coinwatch", "subscribe", "--metric", ""], ["price", "volume_24h"]),
    ],
)
def test_bash_completes_own_commands_and_those_of_coinwatch(
    project: Path, words: list[str], completions: list[str]
) -> None:
    assert complete_in_bash(project, words) == completions


def test_every_command_in_the_help_is_completed(project: Path) -> None:
    usage = subprocess.run(["./local_run.sh", "--help"], cwd=project, capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  \./local_run\.sh ([a-z]+)", usage, re.MULTILINE))
    assert set(complete_in_bash(project, ["./local_run.sh", ""])) == commands
    zsh = (PROJECT / "local" / "completion.zsh").read_text()
    assert set(re.findall(r"compadd ([a-z ]+)", zsh)[0].split()) == commands


def test_zsh_asks_coinwatch_for_descriptions(project: Path) -> None:
    script = subprocess.run(
        ["./local_run.sh", "completion", "zsh"], cwd=project, capture_output=True, text=True, check=True
    ).stdout
    assert "compdef _coinwatch_local_run local_run.sh" in script
    environment = {"_TYPER_COMPLETE_ARGS": "coinwatch history --la", "_COINWATCH_COMPLETE": "complete_zsh"}
    done = subprocess.run(
        ["./local_run.sh", "coinwatch"],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("_arguments ")
    assert '"--last":"Period up to' in done.stdout


def test_unknown_shell_is_an_error(project: Path) -> None:
    done = subprocess.run(
        ["./local_run.sh", "completion", "tcsh"], cwd=project, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "bash and zsh" in done.stderr) == (1, True)


def complete_in_bash(project: Path, words: list[str]) -> list[str]:
    script = SCRIPT.format(words=" ".join(f"'{word}'" for word in words), last=len(words) - 1)
    done = subprocess.run(["bash", "-c", script], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
