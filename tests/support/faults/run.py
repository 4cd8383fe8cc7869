"""Runs a cycle with a fault, and determines which alerts were emailed in the end."""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.policy import default
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, LiteralString

import psycopg

from coinwatch.database import create_engine
from coinwatch.formatting import format_amount, format_price
from tests.support.faults.cycle import Order, run_cycles
from tests.support.faults.mail_server import AcceptedEmail, FaultyMailServer
from tests.support.faults.scenario import AlertWithEmail, alerts_of

Inject = Callable[[BaseProcess], None]

MAX_SENT_AFTER_FREEZE = 1  # emails that a frozen sender may still send when it resumes
LONGEST_RUN_SECONDS = 150.0
PAUSE_BETWEEN_CYCLES_SECONDS = 0.5

# Processes start in milliseconds, because they are forked from one that has already imported everything.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.faults.cycle"])


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    ``lost``: alerts that were emailed in an undisturbed run but not in this one. ``duplicates``: further copies of an
    email that the server accepted; ``in_flight``: accepted emails not yet marked as sent (committed) at the time of the
    fault, and emails that a frozen sender sent when it resumed. ``unexplained``: duplicates of emails that were not in
    flight, more than one of an email, emails with a Message-ID that is not in the outbox, alerts in two emails, and
    alerts that should not exist. ``rejected``: alerts in emails that the server rejected permanently; ``suppressed``:
    addresses that were suppressed. ``known_errors``: coinwatch's own errors; ``tracebacks``: all others. Seconds from
    the fault, or from the restart of Postgres, to the first and the last email accepted after it; None if there was
    none.
    """

    alerts: int
    emails: int
    lost: int
    duplicates: int
    in_flight: int
    unexplained: list[str]
    rejected: int
    suppressed: int
    first_seconds: float | None
    last_seconds: float | None
    known_errors: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)


class Run:
    """A clone of the seed's database and the processes that work on it, one at a time."""

    def __init__(self, server: FaultyMailServer, order: Order, expected: set[tuple[object, ...]]) -> None:
        self.server, self.order, self.expected = server, order, expected
        self.engine = create_engine(order.database_url)
        self.known_errors: list[str] = []
        self.tracebacks: list[str] = []
        self.server_point: tuple[str, int] | None = None
        self.freeze = False
        self._frozen: tuple[BaseProcess, Connection] | None = None
        self._process: BaseProcess | None = None
        self._orders: Connection | None = None
        self._inject: Inject | None = None
        self._fault_at: float | None = None
        self._resumed_at = 0.0
        self._in_flight: set[str] = set()
        self._fault_lock = threading.Lock()

    def play(self, inject: Inject | None, *, after_seconds: float | None = None) -> Outcome | None:
        """Run the cycle with its fault, then cycles until everything is delivered; None if the fault never happened."""
        self._inject = inject
        self.server.on_point = self._at_server_point
        began = time.monotonic()
        timer = threading.Timer(after_seconds or 0.0, self._at_random_time)
        self._orders = self._start()
        if after_seconds is not None:
            timer.start()
        try:
            while not (self._cycle() and self._delivered()):
                if time.monotonic() - began > LONGEST_RUN_SECONDS:
                    raise RuntimeError(
                        f"not delivered in {LONGEST_RUN_SECONDS:g} s: {self.known_errors[-3:]} {self.tracebacks[-1:]}"
                    )
                time.sleep(PAUSE_BETWEEN_CYCLES_SECONDS)
            timer.cancel()
            with self._fault_lock:
                self._fault_at = self.server.server_failed_at or self._fault_at
            accepted = list(self.server.accepted)
            self._resume(len(accepted))
            self._cycle()  # once more, with nothing left to send
            return self._outcome(accepted, self._fault_at) if self._fault_at else None
        finally:
            timer.cancel()
            self.server.on_point = None
            self._end_process()
            self.engine.dispose()

    def _cycle(self) -> bool:
        """Run one cycle, in a new process if the last one died; return whether all steps succeeded."""
        if self._orders is None:
            self._orders = self._start()
        try:
            self._orders.send("cycle")
            while (report := self._receive(self._orders)) == "stopped":
                self._inject_now()
                self._orders.send("continue")
        except (EOFError, ConnectionError):
            self._end_process()
            self._recount_in_flight()
            return False
        if report is None:  # it is frozen, and another process continues
            self._process = self._orders = None
            return False
        self.known_errors += report.known_errors
        self.tracebacks += report.tracebacks
        if not report.clean:
            self._end_process()  # like Airflow, which runs each attempt in a new process
        return bool(report.clean)

    def _receive(self, orders: Connection) -> Any:
        """The next message from the process; None if it was frozen."""
        while not orders.poll(0.05):
            if self._frozen and self._frozen[1] is orders:
                return None
        return orders.recv()

    def _resume(self, accepted: int) -> None:
        """Let the frozen process finish its cycle."""
        if self._frozen is None:
            return
        process, orders = self._frozen
        os.kill(process.pid or 0, signal.SIGCONT)
        report = orders.recv()
        self.known_errors += report.known_errors
        self.tracebacks += report.tracebacks
        orders.close()
        process.join()
        resumed = self.server.accepted[accepted:]
        if len(resumed) <= MAX_SENT_AFTER_FREEZE:
            self._in_flight |= {email.message_id for email in resumed}

    def _start(self) -> Connection:
        ours, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=run_cycles, args=(theirs, self.order), daemon=True)
        self._process.start()
        theirs.close()
        self.order = replace(self.order, moment=None)  # the next process has no fault
        return ours

    def _end_process(self) -> None:
        if self._orders is not None:
            self._orders.close()
            self._orders = None
        if self._process is not None:
            self._process.join(timeout=20)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join()
            self._process = None

    def _at_server_point(self, name: str, nth: int) -> None:
        with self._fault_lock:
            if (name, nth) == self.server_point:
                self.server_point = None
                self._inject_now()

    def _at_random_time(self) -> None:
        with self._fault_lock:
            if self._process:
                self._inject_now()

    def _inject_now(self) -> None:
        if self._inject and self._process:
            self._inject(self._process)
        self._fault_at = self._resumed_at = time.monotonic()
        self._in_flight = {email.message_id for email in self.server.accepted} - self._message_ids("sent")
        if self.freeze and self._process and self._orders:
            self._frozen = self._process, self._orders

    def _recount_in_flight(self) -> None:
        """Count again after the process died, because the mail server still accepts data already written to it."""
        deadline = time.monotonic() + 5
        while self.server.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        self._in_flight = {email.message_id for email in self.server.accepted} - self._message_ids("sent")
        self._resumed_at = time.monotonic()

    def _message_ids(self, status: str = "%") -> set[str]:
        with psycopg.connect(self.order.database_url) as connection:
            rows = connection.execute("SELECT CAST(message_id AS text) FROM outbox WHERE status LIKE %s", [status])
            return {row[0] for row in rows}

    def _delivered(self) -> bool:
        with self._fault_lock:
            return not self._count("SELECT count(*) FROM outbox WHERE status = 'queued'")

    def _count(self, query: LiteralString) -> int:
        with psycopg.connect(self.order.database_url) as connection:
            row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _outcome(self, accepted: list[AcceptedEmail], fault_at: float) -> Outcome:
        alerts = alerts_of(self.engine)
        copies = Counter(email.message_id for email in self.server.accepted)
        rejected = {alert.alert for alert in alerts if alert.status == "failed" and alert.message_id not in copies}
        read = {alert.alert for alert in alerts if alert.message_id in copies and _shows(self.server.accepted, alert)}
        duplicates = {message_id: number - 1 for message_id, number in copies.items() if number > 1}
        in_flight = self._in_flight | self._unconfirmed(accepted)
        unexplained = [
            f"{message_id} was sent {number + 1} times" for message_id, number in duplicates.items() if number > 1
        ]
        unexplained += [
            f"{message_id} was duplicated but not in flight" for message_id in duplicates.keys() - in_flight
        ]
        unexplained += [f"{message_id} is not in the outbox" for message_id in copies.keys() - self._message_ids()]
        unexplained += [f"{alert} should not exist" for alert in read - self.expected]
        unexplained += [f"{alert.alert} is in no email" for alert in alerts if alert.message_id is None]
        unexplained += [
            f"{repeated} alerts are in two emails" for repeated in [self._alerts_in_two_emails()] if repeated
        ]
        after = [email.at - fault_at for email in accepted if email.at > max(fault_at, self._resumed_at)]
        return Outcome(
            alerts=len(self.expected),
            emails=len(copies),
            lost=len(self.expected - read - rejected),
            duplicates=sum(duplicates.values()),
            in_flight=len(in_flight),
            unexplained=unexplained,
            rejected=len(rejected),
            suppressed=self._count("SELECT count(*) FROM users WHERE suppressed_at IS NOT NULL"),
            first_seconds=min(after, default=None),
            last_seconds=max(after, default=None),
            known_errors=self.known_errors,
            tracebacks=self.tracebacks,
        )

    def _unconfirmed(self, accepted: list[AcceptedEmail]) -> set[str]:
        """The Message-ID of the email whose acceptance the server could not confirm."""
        server_fault = self.server.server_fault
        if server_fault is None or server_fault.where != "accepted":
            return set()
        before = [email for email in accepted if email.at <= (self.server.server_failed_at or 0)]
        return {before[-1].message_id} if before else set()

    def _alerts_in_two_emails(self) -> int:
        """The number of alerts in more than one email."""
        return self._count(
            "SELECT count(*) FROM (SELECT 1 FROM outbox, jsonb_array_elements(payload -> 'alerts') alert"
            " GROUP BY channel, alert ->> 'alert_id' HAVING count(*) > 1) twice"
        )


def _shows(accepted: list[AcceptedEmail], alert: AlertWithEmail) -> bool:
    """Whether the email that the server accepted is for that user and shows that value."""
    value = (format_price if alert.metric == "price" else format_amount)(alert.price)
    email = next(email for email in accepted if email.message_id == alert.message_id)
    message = message_from_bytes(email.data, policy=default)
    texts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    return email.recipient == alert.email and any(value in text for text in texts)
