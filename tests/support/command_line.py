"""Runs ``coinwatch`` commands as processes, without the second that each would need to import everything."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["__main__", "coinwatch.cli.main"])


def run_coinwatch(
    *arguments: str, environment: Mapping[str, str], folder: Path, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command in a new process, forked from one that has already imported it.

    ``environment`` is added to this process's environment, ``folder`` is the working directory. Standard input is
    empty. Raises TimeoutExpired after ``timeout`` seconds.
    """
    with tempfile.TemporaryDirectory() as outputs:
        out, err = Path(outputs, "out"), Path(outputs, "err")
        process = _processes.Process(target=_main, args=(arguments, {**os.environ, **environment}, folder, out, err))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(["coinwatch", *arguments], timeout)
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())


def _main(arguments: tuple[str, ...], environment: dict[str, str], folder: Path, out: Path, err: Path) -> None:
    from coinwatch.cli.main import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.argv = ["coinwatch", *arguments]
    main()
