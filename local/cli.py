"""``python -m local start|stop|status|logs|reset|airflow``. ``stop`` imports nothing but the standard library."""

import argparse
import errno
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import StackError
from local.layout import Layout, find_layout, make_folders
from local.postgres_places import OUTSIDE
from local.stop import stop_stack

if TYPE_CHECKING:
    from local.configuration import Configuration

PROJECT = Path(__file__).resolve().parents[1]
DATA = ("postgres", "graphite", "airflow", "coinnews", "mail", "grafana", "logs", "run")
FILES = ("alerts.txt", "exchanges-probed", "password-shown")


def main() -> int:
    """Run one command; what goes wrong is one sentence on standard error and an exit code that is not 0."""
    # What comes after the word airflow is Airflow's to read, options included.
    words = sys.argv[2:] if sys.argv[1:2] == ["airflow"] else []
    arguments = _parser().parse_args(sys.argv[1:2] if words else None, argparse.Namespace(words=words))
    command: Callable[[Layout, argparse.Namespace], int] = arguments.run
    layout = find_layout(PROJECT)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command(layout, arguments)
    except StackError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail(f"The disk is full: {error.filename or layout.home} could not be written. Free some room.")
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return _fail(f"{error.filename or 'A file'} may not be written by you: {error.strerror}.")
        raise
    except KeyboardInterrupt:
        return _fail("Interrupted; nothing is left running.", 130)


def start(layout: Layout, arguments: argparse.Namespace) -> int:
    from local.report import started_text
    from local.start import read_configuration, start_stack
    from local.status import read_status

    with _only_one(layout):
        status = read_status(layout)
        if status.state == "ready":
            _say("The stack is running already.")
            configuration = read_configuration(layout, dict(os.environ))
        else:
            configuration = start_stack(layout, dict(os.environ), _say)
            status = read_status(layout)
    _say(started_text(layout, status, _password_to_show(layout, configuration)))
    return 0 if arguments.detach else _stay(layout, configuration)


def stop(layout: Layout, arguments: argparse.Namespace) -> int:
    _end_running_start(layout)
    with _only_one(layout):
        count = stop_stack(layout)
    _say(f"Stopped ({count} processes)." if count else "Nothing was running.")
    return 0


def show_status(layout: Layout, arguments: argparse.Namespace) -> int:
    from local.report import status_text
    from local.status import read_status

    status = read_status(layout)
    _say(status.as_json() if arguments.json else status_text(status))
    return 0 if status.state == "ready" else 1


def logs(layout: Layout, arguments: argparse.Namespace) -> int:
    names = sorted(path.stem for path in layout.logs.glob("*.log"))
    if arguments.service and arguments.service not in names:
        raise StackError(f"There is no log of {arguments.service!r}. There are: {', '.join(names) or 'none yet'}.")
    paths = [layout.logs / f"{name}.log" for name in names if arguments.service in (None, name)]
    lines = arguments.lines or (100 if arguments.service else 5)
    if not paths:
        raise StackError(f"There are no logs in {layout.logs} yet.")
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if arguments.follow else []), *map(str, paths)])  # noqa: S606


def reset(layout: Layout, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        question = f"This deletes all prices, alerts, mails and Airflow's history in {layout.home}. Type yes: "
        if not sys.stdin.isatty():
            raise StackError("reset deletes all data; say so with ./local_run.sh reset --yes")
        if input(question).strip() != "yes":
            raise StackError("Nothing was deleted.")
    _end_running_start(layout)
    with _only_one(layout):
        stop_stack(layout)
        for folder in (*(layout.home / name for name in DATA), OUTSIDE / layout.tag):
            if folder.exists():
                shutil.rmtree(folder)
        for name in FILES:
            (layout.home / name).unlink(missing_ok=True)
    _say(f"All data in {layout.home} is deleted. {layout.env_file} with its secrets is kept.")
    return 0


def airflow(layout: Layout, arguments: argparse.Namespace) -> int:
    """Airflow's own command line, with the settings of this stack."""
    from local.airflow import airflow_command, airflow_environment
    from local.start import read_configuration

    if not layout.env_file.exists():
        raise StackError("Nothing was started here yet; begin with ./local_run.sh start")
    configuration = read_configuration(layout, dict(os.environ))
    command = [*airflow_command(configuration), *arguments.words]
    os.execvpe(command[0], command, airflow_environment(configuration))  # noqa: S606


def _password_to_show(layout: Layout, configuration: "Configuration") -> str:
    """Airflow's admin password at the end of the first start, '' ever after."""
    shown = layout.home / "password-shown"
    if shown.exists():
        return ""
    shown.touch()
    return configuration.chosen["COINWATCH_AIRFLOW_ADMIN_PASSWORD"]


def _stay(layout: Layout, configuration: "Configuration") -> int:
    """Follow the stack until Ctrl-C, which stops it."""
    from local.follow import follow

    _say("Ctrl-C stops everything.")
    try:
        if follow(configuration, _say):
            _say("The stack was stopped.")
            return 0
        raise StackError("The supervisor was killed; what it left was ended. Start again with ./local_run.sh start")
    except KeyboardInterrupt:
        _say("\nstopping")
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        stop_stack(layout)
        _say("Everything is stopped.")


@contextmanager
def _only_one(layout: Layout) -> Iterator[None]:
    """Two starts or stops of one stack at a time would undo each other."""
    make_folders(layout)
    path = layout.home / "lock"
    with path.open("a+") as file:
        if not _take(file.fileno(), seconds=90 if _is_stop() else 0):
            raise StackError(f"Another start or stop of this stack is under way (process {_holder(path)}).")
        with suppress(OSError):  # on a full disk, stop must work without saying who it is
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def _end_running_start(layout: Layout) -> None:
    """A start that is under way is told to give up; it stops what it started."""
    path = layout.home / "lock"
    if not path.exists():
        return
    with path.open("a+") as file:
        if _take(file.fileno(), seconds=0):
            return
    holder = _holder(path)
    if holder.isdigit():
        os.kill(int(holder), signal.SIGTERM)


def _take(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)
        else:
            return True


def _holder(path: Path) -> str:
    return path.read_text().strip() or "unknown"


def _is_stop() -> bool:
    return sys.argv[1:2] in (["stop"], ["reset"])


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _fail(text: str, code: int = 1) -> int:
    print(text, file=sys.stderr, flush=True)
    return code


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./local_run.sh", description="coinwatch on this machine, without Docker.")
    commands = parser.add_subparsers(dest="command", required=True)
    start_parser = commands.add_parser("start", help="start everything and stay; Ctrl-C stops it")
    start_parser.add_argument("--detach", "-d", action="store_true", help="return when all is ready")
    start_parser.set_defaults(run=start)
    stop_parser = commands.add_parser("stop", help="stop everything; data stays")
    stop_parser.set_defaults(run=stop)
    status_parser = commands.add_parser("status", help="what runs and whether it is ready; exit code 0 when all is")
    status_parser.add_argument("--json", action="store_true", help="for programs")
    status_parser.set_defaults(run=show_status)
    logs_parser = commands.add_parser("logs", help="the last lines of every part, or of one")
    logs_parser.add_argument("service", nargs="?", help="a name from status --json")
    logs_parser.add_argument("--lines", "-n", type=int, help="how many (5 of each, 100 of one)")
    logs_parser.add_argument("--follow", "-f", action="store_true", help="go on as lines come")
    logs_parser.set_defaults(run=logs)
    reset_parser = commands.add_parser("reset", help="stop and delete all data; .env stays")
    reset_parser.add_argument("--yes", action="store_true", help="do not ask")
    reset_parser.set_defaults(run=reset)
    airflow_parser = commands.add_parser("airflow", help="a command of Airflow, for example: airflow backfill create")
    airflow_parser.set_defaults(run=airflow)
    return parser
