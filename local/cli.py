"""``python -m local COMMAND``, run by local_run.sh. ``stop`` imports nothing but the standard library."""

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
from local.paths import OUTSIDE, Paths, find_paths, make_folders
from local.stop import stop_stack

if TYPE_CHECKING:
    from local.configuration import Configuration

PROJECT = Path(__file__).resolve().parents[1]
DATA = ("postgres", "graphite", "airflow", "coinnews", "mail", "grafana", "logs", "run")
FILES = ("alerts.txt", "exchanges-probed", "password-shown")


def main() -> int:
    """Run one command. Errors are one sentence on standard error and a nonzero exit code."""
    # Everything after `airflow` belongs to Airflow, including options.
    airflow_arguments = sys.argv[2:] if sys.argv[1:2] == ["airflow"] else []
    arguments = _parser().parse_args(
        sys.argv[1:2] if airflow_arguments else None, argparse.Namespace(airflow_arguments=airflow_arguments)
    )
    command: Callable[[Paths, argparse.Namespace], int] = arguments.run
    paths = find_paths(PROJECT)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command(paths, arguments)
    except StackError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail(f"The disk is full: {error.filename or paths.home} could not be written. Free some space.")
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return _fail(f"You have no permission to write {error.filename or 'a file'}: {error.strerror}.")
        raise
    except KeyboardInterrupt:
        return _fail("Interrupted. Nothing is left running.", 130)


def start(paths: Paths, arguments: argparse.Namespace) -> int:
    """Start the stack; without ``--detach``, stay in the foreground."""
    from local.report import started_text
    from local.start import read_configuration, start_stack
    from local.status import read_status

    with _exclusive(paths):
        status = read_status(paths)
        if status.state == "ready":
            _say("The stack is already running.")
            configuration = read_configuration(paths, dict(os.environ))
        else:
            configuration = start_stack(paths, dict(os.environ), _say)
            status = read_status(paths)
    _say(started_text(paths, status, _password_to_show(paths, configuration)))
    return 0 if arguments.detach else _stay_in_foreground(paths, configuration)


def stop(paths: Paths, arguments: argparse.Namespace) -> int:
    """Stop the stack, or interrupt a start in progress."""
    _interrupt_running_start(paths)
    with _exclusive(paths):
        count = stop_stack(paths)
    _say(f"Stopped ({count} processes)." if count else "Nothing was running.")
    return 0


def show_status(paths: Paths, arguments: argparse.Namespace) -> int:
    """Print the state of all services; returns 0 if all are ready."""
    from local.report import status_text
    from local.status import read_status

    status = read_status(paths)
    _say(status.as_json() if arguments.json else status_text(status))
    return 0 if status.state == "ready" else 1


def logs(paths: Paths, arguments: argparse.Namespace) -> int:
    """Show log files."""
    from local.log_output import print_logs

    names = sorted(path.stem for path in paths.logs.glob("*.log"))
    if not names:
        raise StackError(f"There are no logs in {paths.logs} yet.")
    if arguments.service and arguments.service not in names:
        raise StackError(f"There is no log of {arguments.service!r}. Available: {', '.join(names)}.")
    files = [paths.logs / f"{name}.log" for name in names if arguments.service in (None, name)]
    return print_logs(files, arguments.lines or (100 if arguments.service else 5), follow=arguments.follow)


def reset(paths: Paths, arguments: argparse.Namespace) -> int:
    """Stop the stack and delete its data, but not .env."""
    _confirm(arguments, f"This deletes all prices, alerts, emails and Airflow's history in {paths.home}.", "reset")
    _interrupt_running_start(paths)
    with _exclusive(paths):
        stop_stack(paths)
        for folder in (*(paths.home / name for name in DATA), OUTSIDE / paths.tag):
            if folder.exists():
                shutil.rmtree(folder)
        for name in FILES:
            (paths.home / name).unlink(missing_ok=True)
    _say(f"All data in {paths.home} is deleted. {paths.env_file} and its secrets are kept.")
    return 0


def backup(paths: Paths, arguments: argparse.Namespace) -> int:
    """Write a backup of coinwatch's database."""
    from local.backup import back_up
    from local.start import read_configuration
    from local.status import read_status

    back_up(read_configuration(paths, dict(os.environ)), arguments.file, read_status(paths))
    _say(
        f"Wrote {arguments.file} ({arguments.file.stat().st_size / 1e6:.1f} MB). Keep a copy of {paths.env_file}, too."
    )
    return 0


def restore(paths: Paths, arguments: argparse.Namespace) -> int:
    """Replace all data of coinwatch by that of a backup."""
    from local.backup import restore as restore_backup
    from local.start import read_configuration
    from local.status import read_status

    _confirm(arguments, f"This replaces all prices, alerts and emails in {paths.home} by the backup.", "restore FILE")
    with _exclusive(paths):
        status = read_status(paths)
        restore_backup(read_configuration(paths, dict(os.environ)), arguments.file, status, _say)
    _say("The backup is restored.")
    return 0


def airflow(paths: Paths, arguments: argparse.Namespace) -> int:
    """Run Airflow's command line with the settings of this stack."""
    from local.airflow import airflow_command, airflow_environment
    from local.start import read_configuration

    if not paths.env_file.exists():
        raise StackError("Nothing has been started here yet. Run ./local_run.sh start")
    configuration = read_configuration(paths, dict(os.environ))
    command = [*airflow_command(configuration), *arguments.airflow_arguments]
    os.execvpe(command[0], command, airflow_environment(configuration))  # noqa: S606


def _confirm(arguments: argparse.Namespace, warning: str, command: str) -> None:
    if arguments.yes:
        return
    if not sys.stdin.isatty():
        raise StackError(f"{warning} To confirm, run ./local_run.sh {command} --yes")
    if input(f"{warning} Type yes: ").strip() != "yes":
        raise StackError("Nothing was changed.")


def _password_to_show(paths: Paths, configuration: "Configuration") -> str:
    """Airflow's admin password after the first start, '' after later ones."""
    shown = paths.home / "password-shown"
    if shown.exists():
        return ""
    shown.touch()
    return configuration.user_settings["COINWATCH_AIRFLOW_ADMIN_PASSWORD"]


def _stay_in_foreground(paths: Paths, configuration: "Configuration") -> int:
    """Report events until Ctrl-C, which stops the stack."""
    from local.foreground import report_events

    _say("Ctrl-C stops everything.")
    try:
        if report_events(configuration, _say):
            _say("The stack was stopped.")
            return 0
        raise StackError("The supervisor was killed. Restart the stack with ./local_run.sh start")
    except KeyboardInterrupt:
        _say("\nStopping")
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the shutdown
        stop_stack(paths)
        _say("The stack is stopped.")


@contextmanager
def _exclusive(paths: Paths) -> Iterator[None]:
    """Allow one start or stop of a stack at a time."""
    make_folders(paths)
    path = paths.home / "lock"
    with path.open("a+") as file:
        if not _acquire(file.fileno(), seconds=90 if _is_stop() else 0):
            raise StackError(f"Another start or stop of this stack is in progress (process {_holder(path)}).")
        with suppress(OSError):  # stop must work on a full disk, without writing its process id
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def _interrupt_running_start(paths: Paths) -> None:
    """Interrupt a start in progress; it stops what it started."""
    path = paths.home / "lock"
    if not path.exists():
        return
    with path.open("a+") as file:
        if _acquire(file.fileno(), seconds=0):
            return
    holder = _holder(path)
    if holder.isdigit():
        os.kill(int(holder), signal.SIGTERM)


def _acquire(descriptor: int, seconds: float) -> bool:
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
    sys.stdout.write(f"{text}\n")  # one write, because services become ready in several threads
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./local_run.sh", description="Run coinwatch without Docker.")
    commands = parser.add_subparsers(dest="command", required=True)
    start_parser = commands.add_parser("start", help="start everything and stay in the foreground; Ctrl-C stops it")
    start_parser.add_argument("--detach", "-d", action="store_true", help="return when everything is ready")
    start_parser.set_defaults(run=start)
    stop_parser = commands.add_parser("stop", help="stop everything; data is kept")
    stop_parser.set_defaults(run=stop)
    status_parser = commands.add_parser("status", help="show the state of all services; exit code 0 if all are ready")
    status_parser.add_argument("--json", action="store_true", help="print JSON")
    status_parser.set_defaults(run=show_status)
    logs_parser = commands.add_parser("logs", help="show the last log lines of all services, or of one")
    logs_parser.add_argument("service", nargs="?", help="a service name from status --json")
    logs_parser.add_argument("--lines", "-n", type=int, help="number of lines (default: 5 each, 100 for a single one)")
    logs_parser.add_argument("--follow", "-f", action="store_true", help="follow the logs")
    logs_parser.set_defaults(run=logs)
    reset_parser = commands.add_parser("reset", help="stop and delete all data; .env is kept")
    reset_parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    reset_parser.set_defaults(run=reset)
    backup_parser = commands.add_parser("backup", help="write a backup of coinwatch's database")
    backup_parser.add_argument("file", type=Path, help="a new file")
    backup_parser.set_defaults(run=backup)
    restore_parser = commands.add_parser("restore", help="replace all data by that of a backup")
    restore_parser.add_argument("file", type=Path, help="a file written by backup")
    restore_parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    restore_parser.set_defaults(run=restore)
    airflow_parser = commands.add_parser("airflow", help="run an Airflow command, for example: airflow backfill create")
    airflow_parser.set_defaults(run=airflow)
    return parser
