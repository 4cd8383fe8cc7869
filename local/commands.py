"""Running commands: output goes to a log file, a failure becomes one sentence."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.errors import DiskFull, StackError
from local.paths import Paths

LOGIN_REJECTED = "password authentication failed"
NO_SPACE = ("No space left on device", "ENOSPC", "Disk quota exceeded", "DiskFull", "database or disk is full")


def run_command(
    paths: Paths,
    name: str,
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    directory: Path | None = None,
    user: str | None = None,
    seconds: float = 600,
) -> str:
    """Run ``command``, append its output to ``logs/<name>.log`` and return it. ``user``: run it as that user.

    Raises StackError with the last line of its output and the path of the log; DiskFull if the disk is full.
    """
    log = paths.logs / f"{name}.log"
    account: dict[str, object] = {"user": user, "group": _group(user), "extra_groups": []} if user else {}
    try:
        finished = subprocess.run(  # type: ignore[call-overload]
            [str(word) for word in command],
            env=dict(environment),
            cwd=directory or paths.project,
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
        raise StackError(f"{name} cannot run: {error.filename} does not exist.") from None
    with log.open("a") as file:
        file.write(finished.stdout)
    if finished.returncode:
        raise explain_failure(name, finished.stdout, log, f"exit code {finished.returncode}")
    return str(finished.stdout)


def explain_failure(name: str, output: str, log: Path, outcome: str) -> StackError:
    """The error for a failed service or command: a full disk, wrong passwords, or its last line about an error."""
    for line in output.splitlines():
        if any(text in line for text in NO_SPACE):
            return DiskFull(f"The disk is full: {name} could not write. Free some space and start again. ({log})")
    if LOGIN_REJECTED in outcome:
        return StackError(
            f"{name} rejects the passwords in .env: its data is older than this file. "
            "Restore the original .env, or delete the data with ./local_run.sh reset"
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    lines = [line for line in lines if "error" in line.lower()] or lines  # Node prints its version last
    return StackError(f"{name} failed ({outcome}): {lines[-1][:300] if lines else 'no output'}. See {log}")


def _group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid
