"""A cycle that something happens to, and what people were told in the end."""

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
from coinwatch.formatting import format_price
from tests.support.faults.cycle import Order, run_cycles
from tests.support.faults.mail_server import FarEnd, Taken
from tests.support.faults.scenario import Told, alerts_of

Strike = Callable[[BaseProcess], None]

IN_HAND = 2  # mails that a sender has ready while it waits for the answer to the one before
LONGEST_RUN_SECONDS = 150.0
PAUSE_BETWEEN_CYCLES_SECONDS = 0.5

# Processes that start in milliseconds: forked from one that has everything imported.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.faults.cycle"])


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    ``lost``: alerts that an undisturbed run tells and no mail told. ``doubled``: further copies of a mail that the
    server took; ``in_flight``: mails that it had and whose mark was not committed at the moment of the fault, and
    what a frozen sender had in hand.
    ``beyond``: copies that this does not explain, more than one of a mail, mails under another
    Message-ID than the outbox has, alerts told in two mails or that should not be. ``rejected``:
    alerts in mails that the server rejected for good, ``disabled``: addresses that were. ``named``: our errors, ``raw``:
    those of libraries. Seconds from the kill, or from when Postgres was back, to the first mail taken, and to the last;
    None where none was left.
    """

    alerts: int
    mails: int
    lost: int
    doubled: int
    in_flight: int
    beyond: list[str]
    rejected: int
    disabled: int
    first_seconds: float | None
    last_seconds: float | None
    named: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)


class Run:
    """A clone of the seed's database and the processes that work on it, one at a time."""

    def __init__(self, mail: FarEnd, order: Order, expected: set[tuple[object, ...]]) -> None:
        self.mail, self.order, self.expected = mail, order, expected
        self.engine = create_engine(order.database_url)
        self.named: list[str] = []
        self.raw: list[str] = []
        self.mail_point: tuple[str, int] | None = None
        self.freezes = False
        self._asleep: tuple[BaseProcess, Connection] | None = None
        self._process: BaseProcess | None = None
        self._orders: Connection | None = None
        self._strike: Strike | None = None
        self._struck_at: float | None = None
        self._resumed_at = 0.0
        self._in_flight: set[str] = set()
        self._striking = threading.Lock()

    def play(self, strike: Strike | None, *, after_seconds: float | None = None) -> Outcome | None:
        """The cycle, the fault, and cycles until all is out; None where the fault found no occasion."""
        self._strike = strike
        self.mail.on_point = self._at_mail_point
        began = time.monotonic()
        timer = threading.Timer(after_seconds or 0.0, self._at_some_moment)
        self._orders = self._start()
        if after_seconds is not None:
            timer.start()
        try:
            while not (self._cycle() and self._delivered()):
                if time.monotonic() - began > LONGEST_RUN_SECONDS:
                    raise RuntimeError(
                        f"not delivered after {LONGEST_RUN_SECONDS:g} s: {self.named[-3:]} {self.raw[-1:]}"
                    )
                time.sleep(PAUSE_BETWEEN_CYCLES_SECONDS)
            timer.cancel()
            with self._striking:
                self._struck_at = self.mail.troubled_at or self._struck_at
            taken = list(self.mail.taken)
            self._wake(len(taken))
            self._cycle()  # one more, in which nothing is left to tell
            return self._outcome(taken, self._struck_at) if self._struck_at else None
        finally:
            timer.cancel()
            self.mail.on_point = None
            self._end()
            self.engine.dispose()

    def _cycle(self) -> bool:
        """One cycle by the process, or a new one where it died; whether all its steps went well."""
        if self._orders is None:
            self._orders = self._start()
        try:
            self._orders.send("cycle")
            while (answer := self._hear(self._orders)) == "stopped":
                self._hit()
                self._orders.send("go on")
        except (EOFError, ConnectionError):
            self._end()
            self._look_back()
            return False
        if answer is None:  # it is frozen: somebody else goes on
            self._process = self._orders = None
            return False
        self.named += answer.named
        self.raw += answer.raw
        if not answer.clean:
            self._end()  # like Airflow, which gives every try a process of its own
        return bool(answer.clean)

    def _hear(self, orders: Connection) -> Any:
        """What the process says; None when it was frozen."""
        while not orders.poll(0.05):
            if self._asleep and self._asleep[1] is orders:
                return None
        return orders.recv()

    def _wake(self, taken: int) -> None:
        """Let the frozen process end its cycle; what it had in hand goes out."""
        if self._asleep is None:
            return
        process, orders = self._asleep
        os.kill(process.pid or 0, signal.SIGCONT)
        answer = orders.recv()
        self.named += answer.named
        self.raw += answer.raw
        orders.close()
        process.join()
        in_hand = self.mail.taken[taken:]
        if len(in_hand) <= IN_HAND:
            self._in_flight |= {mail.message_id for mail in in_hand}

    def _start(self) -> Connection:
        ours, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=run_cycles, args=(theirs, self.order), daemon=True)
        self._process.start()
        theirs.close()
        self.order = replace(self.order, moment=None)  # the next one is left alone
        return ours

    def _end(self) -> None:
        if self._orders is not None:
            self._orders.close()
            self._orders = None
        if self._process is not None:
            self._process.join(timeout=20)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join()
            self._process = None

    def _at_mail_point(self, name: str, nth: int) -> None:
        with self._striking:
            if (name, nth) == self.mail_point:
                self.mail_point = None
                self._hit()

    def _at_some_moment(self) -> None:
        with self._striking:
            if self._process:
                self._hit()

    def _hit(self) -> None:
        if self._strike and self._process:
            self._strike(self._process)
        self._struck_at = self._resumed_at = time.monotonic()
        self._in_flight = {mail.message_id for mail in self.mail.taken} - self._message_ids("sent")
        if self.freezes and self._process and self._orders:
            self._asleep = self._process, self._orders

    def _look_back(self) -> None:
        """The process is dead; what it had written to the mail server before is still taken."""
        deadline = time.monotonic() + 5
        while self.mail.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        self._in_flight = {mail.message_id for mail in self.mail.taken} - self._message_ids("sent")
        self._resumed_at = time.monotonic()

    def _message_ids(self, status: str = "%") -> set[str]:
        with psycopg.connect(self.order.database_url) as connection:
            rows = connection.execute("SELECT CAST(message_id AS text) FROM outbox WHERE status LIKE %s", [status])
            return {row[0] for row in rows}

    def _delivered(self) -> bool:
        with self._striking:
            return not self._count("SELECT count(*) FROM outbox WHERE status = 'queued'")

    def _count(self, query: LiteralString) -> int:
        with psycopg.connect(self.order.database_url) as connection:
            row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _outcome(self, taken: list[Taken], struck_at: float) -> Outcome:
        told = alerts_of(self.engine)
        copies = Counter(mail.message_id for mail in self.mail.taken)
        rejected = {alert.alert for alert in told if alert.status == "failed" and alert.message_id not in copies}
        read = {alert.alert for alert in told if alert.message_id in copies and _tells(self.mail.taken, alert)}
        doubled = {message_id: number - 1 for message_id, number in copies.items() if number > 1}
        in_flight = self._in_flight | self._in_trouble(taken)
        beyond = [f"{message_id} came {number + 1} times" for message_id, number in doubled.items() if number > 1]
        beyond += [f"{message_id} was doubled and not in flight" for message_id in doubled.keys() - in_flight]
        beyond += [f"{message_id} is not in the outbox" for message_id in copies.keys() - self._message_ids()]
        beyond += [f"{alert} should not be" for alert in read - self.expected]
        beyond += [f"{alert.alert} is in no mail" for alert in told if alert.message_id is None]
        beyond += [f"{alerts} alerts are in two mails" for alerts in [self._told_twice()] if alerts]
        after = [mail.at - struck_at for mail in taken if mail.at > max(struck_at, self._resumed_at)]
        return Outcome(
            alerts=len(self.expected),
            mails=len(copies),
            lost=len(self.expected - read - rejected),
            doubled=sum(doubled.values()),
            in_flight=len(in_flight),
            beyond=beyond,
            rejected=len(rejected),
            disabled=self._count("SELECT count(*) FROM users WHERE suppressed_at IS NOT NULL"),
            first_seconds=min(after, default=None),
            last_seconds=max(after, default=None),
            named=self.named,
            raw=self.raw,
        )

    def _in_trouble(self, taken: list[Taken]) -> set[str]:
        """The mail whose taking the server did not get to say."""
        trouble = self.mail.trouble
        if trouble is None or trouble.where != "taken":
            return set()
        before = [mail for mail in taken if mail.at <= (self.mail.troubled_at or 0)]
        return {before[-1].message_id} if before else set()

    def _told_twice(self) -> int:
        """Alerts that stand in more than one mail."""
        return self._count(
            "SELECT count(*) FROM (SELECT 1 FROM outbox, jsonb_array_elements(payload -> 'alerts') alert"
            " GROUP BY channel, alert ->> 'alert_id' HAVING count(*) > 1) twice"
        )


def _tells(taken: list[Taken], told: Told) -> bool:
    """Whether the mail itself, as the server got it, is for that person and shows that price."""
    mail = next(mail for mail in taken if mail.message_id == told.message_id)
    message = message_from_bytes(mail.data, policy=default)
    texts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    return mail.recipient == told.email and any(format_price(told.price) in text for text in texts)
