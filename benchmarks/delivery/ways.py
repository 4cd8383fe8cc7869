"""The ways to get mails to the same server: ours, postfix's load generator, and a connection for every mail.

Each runs in processes of its own that are ready before the clock starts.
"""

import multiprocessing
import shutil
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from os import geteuid
from typing import Any

import psycopg
import structlog

from benchmarks.delivery.outbox import sent_until
from benchmarks.shared.postgres import Database
from benchmarks.shared.program import Missing
from coinwatch.database import create_engine
from coinwatch.mail import messages
from coinwatch.mail.charts import Charts
from coinwatch.mail.delivery import deliver_emails
from coinwatch.mail.messages import Mail, Writer
from coinwatch.mail.mime import Picture
from coinwatch.settings import Settings
from tests.support.ports import free_port
from tests.support.settings import make_settings

BACKLOG = "200"
SPAWN = multiprocessing.get_context("spawn")
ROWS = "SELECT kind, user_id, recipient, payload, message_id, created_at FROM outbox ORDER BY id LIMIT %s"


def ours(database: Database, port: int, mails: int, senders: int) -> float:
    """Seconds from the start of deliver_emails in so many processes until the last mail is marked as sent."""
    began = _run_at_once(_deliver, [(database.url, port)] * senders)
    return sent_until(database, mails) - began


def email_message_each(database: Database, port: int, mails: int, senders: int) -> float:
    """Seconds for building each mail as an EmailMessage from the same payload and sending it over its own connection.

    Rows are read beforehand, and nothing is claimed or marked.
    """
    share = mails // senders
    began = _run_at_once(_send_each, [(database.url, port, share)] * senders)
    return time.time() - began


def smtp_source(port: int, mails: int, connections: int, size: int, *, kept: bool) -> float:
    """Seconds of postfix's generator; ``kept`` connections carry all messages, others one each."""
    command = ["smtp-source", "-s", str(connections), "-m", str(mails), "-l", str(size)]
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
    """Postfix's SMTP server that takes everything and keeps nothing; its port. Raises Missing."""
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


def typical_mail(database: Database) -> Mail:
    """The first mail of the outbox as we build it."""
    engine = database.engine()
    [mail] = _built(database.url, 1, Charts(engine), _settings(1))
    engine.dispose()
    return mail


def through_email_message(
    headers: Sequence[tuple[str, str]], *, text: str, html: str, boundary: str, picture: Picture | None = None
) -> bytes:
    """The same message as coinwatch.mail.mime.assemble makes, by the standard library."""
    message = EmailMessage(policy=SMTP)
    for name, value in headers:
        message[name] = value
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    if picture is not None:
        _, part = message.iter_parts()
        part.add_related(picture.png, "image", "png", cid=f"<{picture.content_id}>")
    return message.as_bytes()


def _run_at_once(run: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> float:
    """Run in processes that start together; when that was, in seconds of time.time()."""
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
        """A worker has its connection."""
    ready.wait()
    deliver_emails(engine, _settings(port))


def _send_each(ready: Any, database_url: str, port: int, mails: int) -> None:
    messages.assemble = through_email_message  # type: ignore[attr-defined]
    rows = _rows(database_url, mails)
    engine = create_engine(database_url)
    charts, settings = Charts(engine), _settings(port)
    ready.wait()
    for row in rows:
        mail = Writer(settings, charts.of).build(**row)
        with smtplib.SMTP("127.0.0.1", port, "localhost") as smtp:
            smtp.sendmail(mail.sender, [mail.recipient], mail.data)


def _built(database_url: str, mails: int, charts: Charts, settings: Settings) -> list[Mail]:
    return [Writer(settings, charts.of).build(**row) for row in _rows(database_url, mails)]


def _rows(database_url: str, mails: int) -> list[dict[str, Any]]:
    with psycopg.connect(database_url, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(ROWS, [mails]).fetchall()


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
