"""Senders that race for the same outbox, undisturbed or killed while sending."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import structlog

from benchmarks.delivery.outbox import fill_outbox
from benchmarks.outbox.sink import CountingSink, counting_sink
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.report import Goal, Report, Row, say
from coinwatch.database import create_engine
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.claims import GROUP
from tests.support.faults.run import PROCESSES
from tests.support.settings import make_settings

MOST_IN_FLIGHT = 2 * GROUP + 1  # of one sender: a group, the one being marked, and the email being sent
SENT = "SELECT count(*) FROM outbox WHERE status = 'sent'"


def races(emails: int) -> Report:
    """Two and eight senders over this many emails, and eight of which four are killed."""
    rows: list[Row] = []
    with race_database() as database:
        for senders, killed in ((2, 0), (8, 0), (8, 4)):
            row = race(database, emails, senders, killed)
            say(f"race: {row}")
            rows.append(row)
    duplicates = sum(int(str(row["duplicates"])) for row in rows if not row["killed"])
    lost = sum(int(str(row["lost"])) for row in rows)
    goals = [
        Goal("lost: 0", lost, lost == 0),
        Goal("duplicates by racing senders: 0", duplicates, duplicates == 0),
        Goal(
            f"duplicates by a kill: up to {MOST_IN_FLIGHT} per sender",
            rows[-1]["duplicates"] / rows[-1]["killed"],  # type: ignore[operator]
            rows[-1]["duplicates"] <= MOST_IN_FLIGHT * rows[-1]["killed"],  # type: ignore[operator]
        ),
    ]
    return Report("outbox races", f"Senders racing over {emails:,} emails", rows, goals)


def race(database: Database, emails: int, senders: int, killed: int) -> Row:
    """Run one race, then a last sender for what the killed ones had claimed; count what arrived by Message-ID."""
    fill_outbox(database, emails)
    with counting_sink() as sink:
        began = time.monotonic()
        processes = [_sender(database, sink) for _ in range(senders)]
        killed_at = _kill_while_sending(processes[:killed], sink, emails) if killed else None
        for process in processes:
            process.join()
        if killed:
            last = _sender(database, sink)
            last.join()
            processes.append(last)
        seconds = time.monotonic() - began
        time.sleep(0.2)
        accepted = Counter(sink.accepted)
    failed = [process.exitcode for process in processes[killed:] if process.exitcode]
    if failed:
        raise RuntimeError(f"senders ended with {failed}")
    with database.admin() as connection:
        found = connection.execute(SENT).fetchone()
        message_ids = {str(row[0]) for row in connection.execute("SELECT CAST(message_id AS text) FROM outbox")}
    return {
        "senders": senders,
        "killed": killed,
        "emails": emails,
        "lost": len(message_ids - accepted.keys()),
        "duplicates": sum(accepted.values()) - len(accepted),
        "most copies of one": max(accepted.values()),
        "unknown": len(accepted.keys() - message_ids),
        "marked sent": found[0] if found else 0,
        "seconds": seconds,
        "delivered after the kill": time.monotonic() - killed_at if killed_at else None,
    }


@contextmanager
def race_database() -> Iterator[Database]:
    with benchmark_server() as server:
        yield make_database(server, "races")


def send_everything(database_url: str, smtp_url: str) -> None:
    """One sender's main function."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    engine = create_engine(database_url)
    deliver_emails(engine, make_settings(smtp_url=smtp_url))


def _sender(database: Database, sink: CountingSink) -> BaseProcess:
    process = PROCESSES.Process(target=send_everything, args=(database.url, sink.url), daemon=True)
    process.start()
    return process


def _kill_while_sending(victims: list[BaseProcess], sink: CountingSink, emails: int) -> float:
    """Kill one after the other while the emails go out; return when the last one died."""
    for number, victim in enumerate(victims, 1):
        while len(sink.accepted) < emails * number / (len(victims) + 2):
            time.sleep(0.01)
        os.kill(victim.pid or 0, signal.SIGKILL)
        victim.join()
    return time.monotonic()
