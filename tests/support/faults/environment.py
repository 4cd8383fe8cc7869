"""The services around a cycle, and the faults injected into them."""

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import sqlalchemy as sa
from psycopg import sql

from coinwatch.database import create_engine
from coinwatch.migrations import migrate, setup_database
from coinwatch.prices.catalog import sync_catalog
from tests.exchange_server.server import ExchangeServer
from tests.support.faults.cycle import Order, Report, run_cycle
from tests.support.faults.mail_server import FaultyMailServer, ServerFault, fault_mail_server
from tests.support.faults.points import ANYWHERE, POINTS, SERVER_POINTS, Moment
from tests.support.faults.run import Outcome, Run
from tests.support.faults.scenario import CYCLES, Scenario, alerts_of, exchange_settings
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.settings import make_settings

FAULTS = ("SIGKILL", "Postgres restarted (fast)", "Postgres restarted (immediate)", "connections terminated")
OUTAGE = "Postgres unavailable for 30 s"  # longer than a lease and a sender's timeout
OUTAGE_SECONDS = 30.0
FROZEN = (
    "frozen beyond its lease"  # like a suspended machine: SIGSTOP, and SIGCONT once another sender has sent everything
)
LONGEST_DELAY_SECONDS, SHORTEST_DELAY_SECONDS = 1.5, 0.005
DURABLE = {"synchronous_commit": "on", "shared_buffers": "32MB"}  # commits survive a crash of Postgres
TEMPLATE = "coinwatch"
MIGRATING = threading.Lock()  # Alembic keeps its context in the module


class FaultEnvironment:
    """Postgres, the exchange server and a mail server, used by one run at a time."""

    def __init__(
        self,
        postgres: PostgresServer,
        exchanges: ExchangeServer,
        server: FaultyMailServer,
        folder: Path,
        constants: Mapping[str, object],
    ) -> None:
        self.postgres, self.exchanges, self.server, self.folder = postgres, exchanges, server, folder
        self.constants = constants
        self._scenarios: dict[int, tuple[Scenario, set[tuple[object, ...]]]] = {}
        self._number = 0

    def fault(self, seed: int, point: str, fault: str) -> Outcome:
        """Inject ``fault`` once into the last cycle, at ``point`` (one of POINTS, or ANYWHERE).

        One of FAULTS; or OUTAGE; or FROZEN, at the points that the mail server sees.
        """
        chance = random.Random(f"{seed} {point} {fault}")
        if point == ANYWHERE:
            return self._fault_anywhere(seed, chance, fault)
        moment, most = POINTS[point]
        for nth in (chance.randint(1, most), 1):  # the cycle may reach the point less often
            run = self._run(seed, chance, moment, nth)
            run.freeze = fault == FROZEN
            if moment is None:
                run.server_point = SERVER_POINTS[point], nth
            outcome = run.play(partial(self._inject, fault))
            if outcome:
                return outcome
        raise RuntimeError(f"the cycle of seed {seed} never reached the point {point!r}")

    def _fault_anywhere(self, seed: int, chance: random.Random, fault: str) -> Outcome:
        seconds = LONGEST_DELAY_SECONDS
        while seconds > SHORTEST_DELAY_SECONDS:
            seconds *= chance.uniform(0.2, 0.9)
            run = self._run(seed, chance)
            outcome = run.play(partial(self._inject, fault), after_seconds=seconds)
            if outcome:
                return outcome
        raise RuntimeError(f"the cycle of seed {seed} is too short for a fault")

    def server_fault(self, seed: int, where: str, what: str) -> Outcome:
        """Make the mail server fail once; see ServerFault."""
        chance = random.Random(f"{seed} {where} {what}")
        for nth in (1 if where in {"connect", "ehlo"} else chance.randint(1, 20), 1):
            run = self._run(seed, chance)
            self.server.server_fault = ServerFault(where, what, nth)
            outcome = run.play(None)
            if outcome:
                return outcome
        raise RuntimeError(f"the mail server of seed {seed} never failed with {what!r} at {where!r}")

    def _run(self, seed: int, chance: random.Random, moment: Moment | None = None, nth: int = 1) -> Run:
        scenario, expected = self._scenarios.get(seed) or self._prepare(seed)
        self._number += 1
        self.server.reset()
        url = self._clone(f"seed_{seed}", f"run_{self._number}")
        scenario.set_prices(self.exchanges, CYCLES - 1)
        return Run(self.server, Order(url, self._settings(), moment, nth, self.constants), expected)

    def _prepare(self, seed: int) -> tuple[Scenario, set[tuple[object, ...]]]:
        """Create a database with the seed's users and first cycles, without sending emails.

        Also return the alerts of an undisturbed run.
        """
        scenario = Scenario(seed)
        settings = make_settings(**self._settings() | {"smtp_url": "smtp://127.0.0.1:1?tls=none"})
        engine = create_engine(self._clone(TEMPLATE, f"seed_{seed}"))
        sync_catalog(engine, settings)
        scenario.subscribe_users(engine)
        for cycle in range(CYCLES - 1):
            scenario.set_prices(self.exchanges, cycle)
            _clean(run_cycle(engine, settings))
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE outbox SET next_attempt_at = created_at, last_error = NULL"))
        engine.dispose()
        engine = create_engine(self._clone(f"seed_{seed}", "undisturbed"))
        self.server.reset()
        scenario.set_prices(self.exchanges, CYCLES - 1)
        _clean(run_cycle(engine, make_settings(**self._settings())))
        alerts = alerts_of(engine)
        engine.dispose()
        accepted = {email.message_id for email in self.server.accepted}
        if len(accepted) < 10 or {alert.message_id for alert in alerts} != accepted:
            raise RuntimeError(f"undisturbed, seed {seed} gives {len(alerts)} alerts and {len(accepted)} emails")
        self._scenarios[seed] = scenario, {alert.alert for alert in alerts}
        return self._scenarios[seed]

    def _clone(self, template: str, name: str) -> str:
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            make = "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"
            connection.execute(sql.SQL(make).format(sql.Identifier(name), sql.Identifier(template)))
        return self.postgres.url(name, "coinwatch_app")

    def _settings(self) -> dict[str, object]:
        alerts_file = self.folder / f"alerts-{self._number}.txt"
        return exchange_settings(self.exchanges) | {"smtp_url": self.server.url, "alerts_file": alerts_file}

    def _inject(self, fault: str, process: BaseProcess) -> None:
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


def _clean(report: Report) -> None:
    if not report.clean:
        raise RuntimeError(f"an undisturbed cycle failed: {report}")


@contextmanager
def fault_environment(constants: Mapping[str, object] | None = None) -> Iterator[FaultEnvironment]:
    """Start everything a run needs on free ports, and remove it at the end; ``constants`` as in Order."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server(DURABLE))
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
        yield FaultEnvironment(postgres, exchanges, mail, folder, constants or {})
