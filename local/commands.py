"""Running a command to its end: its output goes to a log, a failure becomes one sentence."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.errors import DiskFull, StackError
from local.layout import Layout

REFUSED_LOGIN = "password authentication failed"
NO_SPACE = ("No space left on device", "ENOSPC", "Disk quota exceeded", "DiskFull", "database or disk is full")


def run_command(
    layout: Layout,
    name: str,
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    directory: Path | None = None,
    user: str | None = None,
    seconds: float = 600,
) -> str:
    """Run ``command``, write what it says to ``logs/<name>.log`` and return it. ``user`` drops root's rights.

    StackError gives the last line it said and where the rest is; DiskFull when that was the reason.
    """
    log = layout.logs / f"{name}.log"
    account: dict[str, object] = {"user": user, "group": _group(user), "extra_groups": []} if user else {}
    try:
        finished = subprocess.run(  # type: ignore[call-overload]
            [str(word) for word in command],
            env=dict(environment),
            cwd=directory or layout.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            **account,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{name} did not finish within {seconds:.0f} seconds.") from None
    except FileNotFoundError as error:
        raise StackError(f"{name} cannot run: there is no {error.filename}.") from None
    with log.open("a") as file:
        file.write(finished.stdout)
    if finished.returncode:
        raise explain_failure(name, finished.stdout, log, f"exit code {finished.returncode}")
    return str(finished.stdout)


def explain_failure(name: str, output: str, log: Path, outcome: str) -> StackError:
    """The error for a part or command that failed: full disk, or its own last words."""
    for line in output.splitlines():
        if any(text in line for text in NO_SPACE):
            return DiskFull(f"The disk is full: {name} could not write. Free some room and start again. ({log})")
    if REFUSED_LOGIN in outcome:
        return StackError(
            f"{name} holds data from before this .env was made, and refuses its passwords. "
            "Bring back the .env of that time, or delete the data: ./local_run.sh reset"
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return StackError(f"{name} failed ({outcome}): {lines[-1][:300] if lines else 'it said nothing'}. More in {log}")


def _group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid
