"""PgBouncer in transaction mode in front of a Postgres server."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.ports import free_port
from tests.support.postgres import PASSWORD, PostgresServer

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
# DISCARD ALL after every transaction: nothing of a session survives, as if each transaction got another connection.
CONFIGURATION = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 4
server_reset_query = DISCARD ALL
server_reset_query_always = 1
logfile = {folder}/log.txt
"""


@contextmanager
def pgbouncer(postgres: PostgresServer, roles: list[str]) -> Iterator[PostgresServer]:
    """Run PgBouncer on a free port; the result has the URLs of the same databases through it."""
    folder = Path(tempfile.mkdtemp(prefix="coinwatch-pgbouncer-"))
    port = free_port()
    values = {"host": postgres.host, "port": postgres.port, "listen_port": port, "folder": folder}
    (folder / "pgbouncer.ini").write_text(CONFIGURATION.format(**values))
    (folder / "users.txt").write_text("".join(f'"{role}" "{PASSWORD}"\n' for role in roles))
    user = []
    if os.getuid() == 0:  # PgBouncer refuses to run as root
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for path in (folder, *folder.iterdir()):
            os.chown(path, 65534, 65534)
    process = subprocess.Popen([*user, str(PROGRAM), "-q", str(folder / "pgbouncer.ini")], cwd="/")
    server = PostgresServer("127.0.0.1", port, [])
    try:
        _wait_until_ready(server, roles[0])
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(server: PostgresServer, role: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(server.url("postgres", role), connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
