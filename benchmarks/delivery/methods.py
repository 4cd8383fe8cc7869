"""Methods of sending emails to the same server: ours, postfix's load generator, and a connection per email.

Each runs in its own processes, which are started before measuring.
"""

import multiprocessing
import shutil
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime
from os import geteuid
from typing import Any, NamedTuple

import psycopg
import structlog

from benchmarks.delivery.outbox import sent_until
from benchmarks.shared.postgres import Database
from benchmarks.shared.program import Missing
from coinwatch.database import create_engine
from coinwatch.mail.charts import Charts
from coinwatch.mail.compose import Composer, Email
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.claims import ClaimedEmail
from coinwatch.settings import Settings
from tests.support.ports import free_port
from tests.support.settings import make_settings

BACKLOG = "200"
SPAWN = multiprocessing.get_context("spawn")
ROWS = """
SELECT o.id, user_id, recipient, kind, payload, message_id, attempts, o.created_at, link_key, link_version
FROM outbox o JOIN users u ON u.id = o.user_id ORDER BY o.id LIMIT %s
"""


class Parts(NamedTuple):
    """What an email consists of, rendered and unencoded."""

    subject: str
    text: str
    html: str
    png: bytes


def ours(database: Database, port: int, emails: int, senders: int) -> float:
    """Seconds from the start of deliver_emails in this many processes until the last email is marked as sent."""
    began = _run_concurrently(_deliver, [(database.url, port)] * senders)
    return sent_until(database, emails) - began


def email_message_each(database: Database, port: int, emails: int, senders: int) -> float:
    """Seconds for composing each email as an EmailMessage and sending it over its own connection.

    That is how Airflow's EmailOperator sends. Rows are read and texts are rendered beforehand, and nothing is claimed
    or marked.
    """
    parts = parts_of(typical_email(database))
    began = _run_concurrently(_send_each, [(database.url, port, emails // senders, parts)] * senders)
    return time.time() - began


def smtp_source(port: int, emails: int, connections: int, size: int, *, kept: bool) -> float:
    """Seconds of postfix's load generator; ``kept`` connections are reused, others send one message each."""
    command = ["smtp-source", "-s", str(connections), "-m", str(emails), "-l", str(size)]
    command += [
        "-f",
        "alerts@coinwatch.test",
        "-t",
        "person@example.org",
        *(["-d"] if kept else []),
        f"127.0.0.1:{port}",
    ]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Run postfix's SMTP server, which discards everything; yields its port. Raises Missing."""
    for name in ("smtp-sink", "smtp-source"):
        if shutil.which(name) is None:
            raise Missing(f"there is no {name} on PATH (Debian: postfix)")
    port = free_port()
    as_user = ["-u", "nobody"] if geteuid() == 0 else []
    process = subprocess.Popen(["smtp-sink", *as_user, f"127.0.0.1:{port}", BACKLOG], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def typical_email(database: Database) -> Email:
    """The first email of the outbox as composed by coinwatch."""
    engine = database.engine()
    [row] = _rows(database.url, 1)
    email = Composer(_settings(1), Charts(engine).get).compose(row)
    engine.dispose()
    return email


def parts_of(email: Email) -> Parts:
    message = message_from_bytes(email.data, policy=default)
    text, html, image = (part for part in message.walk() if not part.is_multipart())
    return Parts(str(message["Subject"]), text.get_content(), html.get_content(), image.get_content())


def _run_concurrently(run: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> float:
    """Run in processes that start together; return that moment, in seconds of time.time()."""
    ready = SPAWN.Barrier(len(arguments) + 1)
    processes = [SPAWN.Process(target=run, args=(ready, *given)) for given in arguments]
    for process in processes:
        process.start()
    ready.wait(60)
    began = time.time()
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError(f"{run.__name__} ended with {process.exitcode}")
    return began


def _deliver(ready: Any, database_url: str, port: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    engine = create_engine(database_url)
    with engine.connect():
        """Open the connection, as a worker already has one."""
    ready.wait()
    deliver_emails(engine, _settings(port))


def _send_each(ready: Any, database_url: str, port: int, emails: int, parts: Parts) -> None:
    rows, settings = _rows(database_url, emails), _settings(port)
    ready.wait()
    for row in rows:
        message = EmailMessage(policy=SMTP)
        message["Subject"] = parts.subject
        message["From"] = settings.email_from
        message["To"] = row.recipient
        message["Date"] = format_datetime(row.created_at)
        message["Message-ID"] = f"<{row.message_id}@coinwatch.test>"
        message.set_content(parts.text)
        message.add_alternative(parts.html, subtype="html")
        _, html = message.iter_parts()
        html.add_related(parts.png, "image", "png", cid="<chart@coinwatch.test>")  # type: ignore[attr-defined]
        with smtplib.SMTP("127.0.0.1", port, "localhost") as smtp:
            smtp.send_message(message)


def _rows(database_url: str, emails: int) -> list[ClaimedEmail]:
    with psycopg.connect(database_url) as connection:
        return [ClaimedEmail(*row) for row in connection.execute(ROWS, [emails])]


def _settings(port: int) -> Settings:
    return make_settings(smtp_url=f"smtp://127.0.0.1:{port}?tls=none")


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
