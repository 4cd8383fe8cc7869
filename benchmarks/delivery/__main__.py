"""Emails per second from the outbox to a mail server on this machine: ``python -m benchmarks.delivery``.

Ours is ``deliver_emails``: claimed in Postgres, composed from the outbox's payload with links and chart, sent, and
marked, durably. The peer does what Airflow's EmailOperator does: an EmailMessage and a connection for every email, with
nothing claimed or marked. The upper limit is postfix's smtp-source, which sends the same text of the same size again
and again over connections that it keeps. All of them send to the same smtp-sink, in turns.
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
from benchmarks.delivery.ways import email_message_each, ours, smtp_sink, smtp_source, typical_email
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.program import Missing
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.mail import delivery
from coinwatch.mail.compose import Composer
from coinwatch.mail.connection import MailConnection
from coinwatch.notifications.claims import Claims
from tests.support.postgres import PostgresServer
from tests.support.settings import make_settings

PEER_GOAL = 3.0
PEER_SHARE = 5  # the peer gets every fifth email: all would take minutes
OURS = "coinwatch deliver_emails"
LIMIT, EACH = "smtp-source, connections kept", "smtp-source, one each"
PEER = "EmailMessage, one connection each"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emails", type=int, default=10_000, help="per way and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="500 emails, one round")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    emails, rounds = (500, 1) if arguments.small else (arguments.emails, arguments.rounds)
    try:
        with benchmark_server() as server, smtp_sink() as port:
            show(run(server, port, emails, rounds), as_json=arguments.json)
    except Missing as missing:
        parser.exit(1, f"{missing}\n")


def run(server: PostgresServer, port: int, emails: int, rounds: int) -> Report:
    database = make_database(server, "delivery")
    fill_prices(database)
    fill_outbox(database, 1)
    size = len(typical_email(database).data)
    ways: dict[tuple[str, int], Callable[[], float]] = {}
    for connections in (1, 2):
        ways |= {
            (LIMIT, connections): partial(smtp_source, port, emails, connections, size, kept=True),
            (OURS, connections): partial(ours, database, port, emails, connections),
            (EACH, connections): partial(smtp_source, port, emails, connections, size, kept=False),
            (PEER, connections): partial(email_message_each, database, port, emails // PEER_SHARE, connections),
        }
    seconds: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, deliver in ways.items():
            fill_outbox(database, emails)
            seconds[way].append(deliver() * (PEER_SHARE if way[0] == PEER else 1))
            say(f"round {number + 1}: {way[0]}, {way[1]}: {emails / seconds[way][-1]:,.0f} emails/s")
    rate = {way: emails / statistics.median(spent) for way, spent in seconds.items()}
    rows: list[Row] = [
        {
            "way": name,
            "connections": connections,
            "emails/s": rate[name, connections],
            "of the limit": rate[name, connections] / rate[LIMIT, connections],
            "times the peer": rate[name, connections] / rate[PEER, connections],
        }
        for name, connections in ways
    ]
    ratios = {connections: rate[OURS, connections] / rate[PEER, connections] for connections in (1, 2)}
    goals = [
        Goal(f"at least {PEER_GOAL:g} times {PEER}, {connections}", ratio, ratio >= PEER_GOAL)
        for connections, ratio in ratios.items()
    ]
    split = where_time_goes(database, port, emails)
    total = sum(split.values())
    notes = [
        f"{emails:,} emails of {size:,} bytes, medians of {rounds} rounds; ours are claimed and marked durably",
        f"the peer got every {PEER_SHARE}th email only, and its texts rendered",
        "one deliver_emails alone: " + ", ".join(f"{part} {spent / total:.0%}" for part, spent in split.items()),
    ]
    return Report("delivery", "Delivering emails", rows, goals, notes, {"seconds of one deliver_emails": split})


def where_time_goes(database: Database, port: int, emails: int) -> dict[str, float]:
    """Seconds of one sender in this process by what its main thread did."""
    fill_outbox(database, emails)
    engine, spent = database.engine(), {"composing": 0.0, "Postgres": 0.0, "SMTP": 0.0}
    with (
        counted(Composer, "compose", spent, "composing"),
        counted(Claims, "claim", spent, "Postgres"),
        counted(Claims, "mark_accepted", spent, "Postgres"),
        counted(Claims, "flush", spent, "Postgres"),
        counted(MailConnection, "send", spent, "SMTP"),
    ):
        began = time.perf_counter()
        delivery.deliver_emails(engine, make_settings(smtp_url=f"smtp://127.0.0.1:{port}?tls=none"))
        whole = time.perf_counter() - began
    engine.dispose()
    return spent | {"the rest": whole - sum(spent.values())}


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


if __name__ == "__main__":
    main()
