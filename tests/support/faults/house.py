"""One run: the cycle in a process of its own, the fault at its point, new processes until everything is delivered."""

import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.policy import default
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import sqlalchemy as sa
from psycopg import sql

from coinwatch.database import create_engine
from coinwatch.mail.words import format_price
from coinwatch.migrations import migrate, setup_database
from coinwatch.prices.catalog import sync_catalog
from tests.exchange_server.server import ExchangeServer
from tests.support.faults.cycle import Order, Report, run_cycle, run_cycles
from tests.support.faults.mail_server import FarEnd, Taken, Trouble, fault_mail_server
from tests.support.faults.points import ANYWHERE, POINTS, SEEN_BY_MAIL_SERVER, Moment
from tests.support.faults.scenario import CYCLES, Scenario, Told, alerts_of, exchange_settings
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.settings import make_settings

Strike = Callable[[BaseProcess], None]

FAULTS = ("SIGKILL", "Postgres restarted (fast)", "Postgres restarted (immediate)", "connections terminated")
OUTAGE = "Postgres away for 30 s"  # longer than a lease and than a sender's patience
OUTAGE_SECONDS = 30.0
FROZEN = "frozen beyond its lease"  # a suspended machine: SIGSTOP, and SIGCONT when another has sent everything
IN_HAND = 2  # mails that a sender has ready while it waits for the answer to the one before
LONGEST_RUN_SECONDS = 150.0
PAUSE_BETWEEN_CYCLES_SECONDS = 0.5
LONGEST_DELAY_SECONDS, SHORTEST_DELAY_SECONDS = 1.5, 0.005
KEEPING = {"synchronous_commit": "on", "shared_buffers": "32MB"}  # what was committed survives Postgres' own crash
TEMPLATE = "coinwatch"
MIGRATING = threading.Lock()  # Alembic keeps its context in the module

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
    Message-ID than the outbox has, alerts told in two mails or that should not be. ``refused``:
    alerts in mails that the server refused for good, ``disabled``: addresses that were. ``named``: our errors, ``raw``:
    those of libraries. Seconds from the kill, or from when Postgres was back, to the first mail taken, and to the last;
    None where none was left.
    """

    alerts: int
    mails: int
    lost: int
    doubled: int
    in_flight: int
    beyond: list[str]
    refused: int
    disabled: int
    first_seconds: float | None
    last_seconds: float | None
    named: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)


class House:
    """A Postgres, an exchange and a mail server for one run after the other."""

    def __init__(
        self,
        postgres: PostgresServer,
        exchanges: ExchangeServer,
        mail: FarEnd,
        folder: Path,
        constants: Mapping[str, object],
    ) -> None:
        self.postgres, self.exchanges, self.mail, self.folder = postgres, exchanges, mail, folder
        self.constants = constants
        self._scenarios: dict[int, tuple[Scenario, set[tuple[object, ...]]]] = {}
        self._number = 0

    def fault(self, seed: int, point: str, fault: str) -> Outcome:
        """Let ``fault`` happen once in the last cycle, at ``point`` (one of POINTS, or ANYWHERE).

        One of FAULTS; or OUTAGE; or FROZEN, at the points that the mail server sees.
        """
        chance = random.Random(f"{seed} {point} {fault}")
        if point == ANYWHERE:
            return self._fault_anywhere(seed, chance, fault)
        moment, most = POINTS[point]
        for nth in (chance.randint(1, most), 1):  # it may not come there as often as that
            run = self._run(seed, chance, moment, nth)
            run.freezes = fault == FROZEN
            if moment is None:
                run.mail_point = SEEN_BY_MAIL_SERVER[point], nth
            outcome = run.play(partial(self._strike, fault))
            if outcome:
                return outcome
        raise RuntimeError(f"the cycle of seed {seed} never came to the point {point!r}")

    def _fault_anywhere(self, seed: int, chance: random.Random, fault: str) -> Outcome:
        seconds = LONGEST_DELAY_SECONDS
        while seconds > SHORTEST_DELAY_SECONDS:
            seconds *= chance.uniform(0.2, 0.9)
            run = self._run(seed, chance)
            outcome = run.play(partial(self._strike, fault), after_seconds=seconds)
            if outcome:
                return outcome
        raise RuntimeError(f"the cycle of seed {seed} is too short to hit it")

    def trouble(self, seed: int, where: str, what: str) -> Outcome:
        """Let the mail server misbehave once; see Trouble."""
        chance = random.Random(f"{seed} {where} {what}")
        for nth in (1 if where in {"connect", "ehlo"} else chance.randint(1, 20), 1):
            run = self._run(seed, chance)
            self.mail.trouble = Trouble(where, what, nth)
            outcome = run.play(None)
            if outcome:
                return outcome
        raise RuntimeError(f"the mail server of seed {seed} had no occasion for {what!r} at {where!r}")

    def _run(self, seed: int, chance: random.Random, moment: Moment | None = None, nth: int = 1) -> "_Run":
        scenario, expected = self._scenarios.get(seed) or self._prepare(seed)
        self._number += 1
        self.mail.reset()
        self.mail.pipelining = chance.random() < 0.6
        url = self._clone(f"seed_{seed}", f"run_{self._number}")
        scenario.show(self.exchanges, CYCLES - 1)
        return _Run(self, Order(url, self._settings(), moment, nth, self.constants), expected)

    def _prepare(self, seed: int) -> tuple[Scenario, set[tuple[object, ...]]]:
        """A database with the seed's people and first cycles, no mail sent; and what it tells undisturbed."""
        scenario = Scenario(seed)
        settings = make_settings(**self._settings() | {"smtp_url": "smtp://127.0.0.1:1?tls=none"})
        engine = create_engine(self._clone(TEMPLATE, f"seed_{seed}"))
        sync_catalog(engine, settings)
        scenario.subscribe_people(engine)
        for cycle in range(CYCLES - 1):
            scenario.show(self.exchanges, cycle)
            _clean(run_cycle(engine, settings))
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE outbox SET next_attempt_at = created_at, last_error = NULL"))
        engine.dispose()
        engine = create_engine(self._clone(f"seed_{seed}", "undisturbed"))
        self.mail.reset()
        scenario.show(self.exchanges, CYCLES - 1)
        _clean(run_cycle(engine, make_settings(**self._settings())))
        told = alerts_of(engine)
        engine.dispose()
        taken = {mail.message_id for mail in self.mail.taken}
        if len(taken) < 10 or {alert.message_id for alert in told} != taken:
            raise RuntimeError(f"undisturbed, seed {seed} gives {len(told)} alerts and {len(taken)} mails")
        self._scenarios[seed] = scenario, {alert.alert for alert in told}
        return self._scenarios[seed]

    def _clone(self, template: str, name: str) -> str:
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            make = "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"
            connection.execute(sql.SQL(make).format(sql.Identifier(name), sql.Identifier(template)))
        return self.postgres.url(name, "coinwatch_app")

    def _settings(self) -> dict[str, object]:
        alerts_file = self.folder / f"alerts-{self._number}.txt"
        return exchange_settings(self.exchanges) | {"smtp_url": self.mail.url, "alerts_file": alerts_file}

    def _strike(self, fault: str, process: BaseProcess) -> None:
        match fault:
            case "SIGKILL":
                os.kill(process.pid or 0, signal.SIGKILL)
            case _ if fault == FROZEN:
                os.kill(process.pid or 0, signal.SIGSTOP)
            case "connections terminated":
                with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                        " WHERE application_name = 'coinwatch'"
                    )
            case _:
                self.postgres.stop(signal.SIGQUIT if "immediate" in fault else signal.SIGINT)
                time.sleep(OUTAGE_SECONDS if fault == OUTAGE else 0)
                self.postgres.start()


class _Run:
    """A clone of the seed's database and the processes that work on it, one at a time."""

    def __init__(self, house: House, order: Order, expected: set[tuple[object, ...]]) -> None:
        self.house, self.order, self.expected = house, order, expected
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
        self.house.mail.on_point = self._at_mail_point
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
                self._struck_at = self.house.mail.troubled_at or self._struck_at
            taken = list(self.house.mail.taken)
            self._wake(len(taken))
            self._cycle()  # one more, in which nothing is left to tell
            return self._outcome(taken, self._struck_at) if self._struck_at else None
        finally:
            timer.cancel()
            self.house.mail.on_point = None
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
        in_hand = self.house.mail.taken[taken:]
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
        self._in_flight = {mail.message_id for mail in self.house.mail.taken} - self._message_ids("sent")
        if self.freezes and self._process and self._orders:
            self._asleep = self._process, self._orders

    def _look_back(self) -> None:
        """The process is dead; what it had written to the mail server before is still taken."""
        deadline = time.monotonic() + 5
        while self.house.mail.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        self._in_flight = {mail.message_id for mail in self.house.mail.taken} - self._message_ids("sent")
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
        copies = Counter(mail.message_id for mail in self.house.mail.taken)
        refused = {alert.alert for alert in told if alert.status == "failed" and alert.message_id not in copies}
        read = {alert.alert for alert in told if alert.message_id in copies and _tells(self.house.mail.taken, alert)}
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
            lost=len(self.expected - read - refused),
            doubled=sum(doubled.values()),
            in_flight=len(in_flight),
            beyond=beyond,
            refused=len(refused),
            disabled=self._count("SELECT count(*) FROM users WHERE disabled_at IS NOT NULL"),
            first_seconds=min(after, default=None),
            last_seconds=max(after, default=None),
            named=self.named,
            raw=self.raw,
        )

    def _in_trouble(self, taken: list[Taken]) -> set[str]:
        """The mail whose taking the server did not get to say."""
        trouble = self.house.mail.trouble
        if trouble is None or trouble.where != "taken":
            return set()
        before = [mail for mail in taken if mail.at <= (self.house.mail.troubled_at or 0)]
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


def _clean(report: Report) -> None:
    if not report.clean:
        raise RuntimeError(f"an undisturbed cycle failed: {report}")


@contextmanager
def fault_house(constants: Mapping[str, object] | None = None) -> Iterator[House]:
    """Everything a run needs on free ports, gone with its data at the end; ``constants`` as in Order."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server(KEEPING))
        exchanges = stack.enter_context(ExchangeServer())
        mail = stack.enter_context(fault_mail_server())
        folder = Path(tempfile.mkdtemp(prefix="coinwatch-faults-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        roles = ("coinwatch_owner", "coinwatch_app", "coinwatch_reader")
        setup_database(postgres.url("postgres"), *(postgres.url(TEMPLATE, role) for role in roles))
        owner = create_engine(postgres.url(TEMPLATE, "coinwatch_owner"))
        with MIGRATING:
            migrate(owner)
        owner.dispose()
        yield House(postgres, exchanges, mail, folder, constants or {})
