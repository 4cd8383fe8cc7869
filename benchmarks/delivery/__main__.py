"""Mails per second from the outbox to a mail server on this machine: ``python -m benchmarks.delivery``.

Ours is ``deliver_emails``: claimed in Postgres, built from the outbox's payload with links and chart, sent, and marked,
durably. The limit is postfix's smtp-source, which sends the same text of the same size again and again over connections
that it keeps; the peer is what Airflow's mail operator does, an EmailMessage and a connection for every mail, with
nothing claimed or marked. All of them send to the same smtp-sink, in turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import structlog

from benchmarks.delivery.outbox import fill_outbox, fill_prices
from benchmarks.delivery.ways import email_message_each, ours, smtp_sink, smtp_source, typical_mail
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.program import Missing
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.mail import delivery
from coinwatch.mail.messages import Writer
from coinwatch.notifications.claims import Claims
from tests.support.postgres import PostgresServer
from tests.support.settings import make_settings

LIMIT_GOAL, PEER_GOAL = 0.5, 5.0
PEER_SHARE = 5  # of so many mails the peer gets one: it would take minutes for all
OURS = "coinwatch deliver_emails"
LIMIT, EACH = "smtp-source, connections kept", "smtp-source, one each"
PEER = "EmailMessage, one connection each"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=10_000, help="per way and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="500 mails, one round")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    mails, rounds = (500, 1) if arguments.small else (arguments.mails, arguments.rounds)
    try:
        with benchmark_server() as server, smtp_sink() as port:
            show(run(server, port, mails, rounds), as_json=arguments.json)
    except Missing as missing:
        parser.exit(1, f"{missing}\n")


def run(server: PostgresServer, port: int, mails: int, rounds: int) -> Report:
    database = make_database(server, "delivery")
    fill_prices(database)
    fill_outbox(database, 1)
    size = len(typical_mail(database).data)
    ways: dict[tuple[str, int], Callable[[], float]] = {}
    for connections in (1, 2):
        ways |= {
            (LIMIT, connections): partial(smtp_source, port, mails, connections, size, kept=True),
            (OURS, connections): partial(ours, database, port, mails, connections),
            (EACH, connections): partial(smtp_source, port, mails, connections, size, kept=False),
            (PEER, connections): partial(email_message_each, database, port, mails // PEER_SHARE, connections),
        }
    seconds: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, deliver in ways.items():
            fill_outbox(database, mails)
            seconds[way].append(deliver() * (PEER_SHARE if way[0] == PEER else 1))
            say(f"round {number + 1}: {way[0]}, {way[1]}: {mails / seconds[way][-1]:,.0f} mails/s")
    rate = {way: mails / statistics.median(spent) for way, spent in seconds.items()}
    rows: list[Row] = [
        {
            "way": name,
            "connections": connections,
            "mails/s": rate[name, connections],
            "of the limit": rate[name, connections] / rate[LIMIT, connections],
            "times the peer": rate[name, connections] / rate[PEER, connections],
        }
        for name, connections in ways
    ]
    goals = [
        goal
        for connections in (1, 2)
        for goal in (
            _goal(f"{LIMIT}, {connections}", LIMIT_GOAL, rate[OURS, connections] / rate[LIMIT, connections]),
            _goal(f"{PEER}, {connections}", PEER_GOAL, rate[OURS, connections] / rate[PEER, connections]),
        )
    ]
    split = where_time_goes(database, port, mails)
    total = sum(split.values())
    notes = [
        f"{mails:,} mails of {size:,} bytes, medians of {rounds} rounds; ours are claimed and marked durably",
        f"the peer got every {PEER_SHARE}th mail only",
        "one deliver_emails alone: " + ", ".join(f"{part} {spent / total:.0%}" for part, spent in split.items()),
    ]
    return Report("delivery", "Delivering mails", rows, goals, notes, {"seconds of one deliver_emails": split})


def where_time_goes(database: Database, port: int, mails: int) -> dict[str, float]:
    """Seconds of one sender in this process by what it did; the rest is talking to the server and waiting for it."""
    fill_outbox(database, mails)
    engine, spent = database.engine(), {"building": 0.0, "Postgres": 0.0}
    with (
        counted(Writer, "build", spent, "building"),
        counted(Claims, "_stubborn", spent, "Postgres"),
    ):
        began = time.perf_counter()
        delivery.deliver_emails(engine, make_settings(smtp_url=f"smtp://127.0.0.1:{port}?tls=none"))
        whole = time.perf_counter() - began
    engine.dispose()
    return spent | {"the mail server and the rest": whole - sum(spent.values())}


@contextmanager
def counted(owner: Any, name: str, spent: dict[str, float], part: str) -> Iterator[None]:
    """Add the time inside that function to a part."""
    real = getattr(owner, name)

    def timed(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return real(*given, **named)
        finally:
            spent[part] += time.perf_counter() - began

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, real)


def _goal(other: str, least: float, ratio: float) -> Goal:
    return Goal(f"at least {least:g} times {other}", ratio, ratio >= least)


if __name__ == "__main__":
    main()
