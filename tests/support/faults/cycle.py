"""The process into which faults are injected: runs the pipeline's cycle on request and reports the result."""

import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import structlog
from sqlalchemy import Engine

from coinwatch import pipeline
from coinwatch.clock import utc_now
from coinwatch.database import create_engine
from coinwatch.errors import CoinwatchError
from coinwatch.settings import Settings
from tests.support.faults.points import Moment, stop_at
from tests.support.settings import make_settings

LOGGED_TRACEBACKS: list[str] = []


@dataclass(frozen=True)
class Order:
    """The parameters of the process; ``moment`` is None if the fault is injected from outside.

    ``constants`` replaces constants of coinwatch by their full names, such as coinwatch.mail.smtp.TIMEOUT_SECONDS.
    """

    database_url: str
    settings: dict[str, object]
    moment: Moment | None = None
    nth: int = 1
    constants: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Report:
    """The result of a cycle: the texts of coinwatch's own errors, and the tracebacks of all others."""

    known_errors: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.known_errors and not self.tracebacks


def run_cycles(orders: Connection, order: Order) -> None:
    """The process's main function: replies to every "cycle" with a Report, and sends "stopped" at the point."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[lambda *_: ""])
    logging.getLogger().addHandler(_Tracebacks())
    for name, value in order.constants.items():
        module, _, constant = name.rpartition(".")
        if not hasattr(import_module(module), constant):
            raise RuntimeError(f"{name} no longer exists")
        setattr(import_module(module), constant, value)
    engine, settings = create_engine(order.database_url), make_settings(**order.settings)

    def stop() -> None:
        orders.send("stopped")
        orders.recv()

    if order.moment:
        stop_at(engine, order.moment, order.nth, stop)
    while True:
        try:
            orders.recv()
            orders.send(run_cycle(engine, settings))
        except (EOFError, ConnectionError):
            sys.exit(0)


def run_cycle(engine: Engine, settings: Settings) -> Report:
    """Run the steps of the DAG in order; as there, a failed step does not prevent the next."""
    report = Report()
    LOGGED_TRACEBACKS.clear()

    def collect() -> None:
        failed = pipeline.collect_prices(engine, settings, utc_now()).failed
        report.known_errors.extend(failed.values())

    steps: list[Callable[[], Any]] = [
        collect,
        lambda: pipeline.evaluate_and_notify(engine, settings, utc_now()),
        lambda: pipeline.deliver_and_report(engine, settings),
    ]
    for step in steps:
        try:
            step()
        except CoinwatchError as error:
            report.known_errors.append(f"{type(error).__name__}: {error}")
        except Exception:  # noqa: BLE001 - the test reports any other exception
            report.tracebacks.append(traceback.format_exc())
    report.tracebacks += LOGGED_TRACEBACKS
    return report


class _Tracebacks(logging.Handler):
    """Collects tracebacks logged by libraries, which operators would see."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            LOGGED_TRACEBACKS.append(logging.Formatter().format(record))
