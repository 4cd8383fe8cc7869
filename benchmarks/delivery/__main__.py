"""Emails per second from the outbox to a mail server on this machine: ``python -m benchmarks.delivery``.

coinwatch: ``deliver_emails`` claims emails in Postgres, composes them from the outbox's payloads with links and chart,
sends them and marks them durably. Competitor: like Airflow's EmailOperator, an EmailMessage and a connection for every
email, without claiming or marking. Limit: postfix's smtp-source, which repeatedly sends a text of the same size over
reused connections. All send to the same smtp-sink, in turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import structlog

from benchmarks.delivery.methods import email_message_each, ours, smtp_sink, smtp_source, typical_email
from benchmarks.delivery.outbox import fill_outbox, fill_prices
from benchmarks.shared.postgres import Database, benchmark_server, make_database
from benchmarks.shared.program import Missing
from benchmarks.shared.report import Goal, Report, Row, say, show
from coinwatch.mail import delivery
from coinwatch.mail.compose import Composer
from coinwatch.mail.connection import MailConnection
from coinwatch.notifications.claims import Claims
from tests.support.postgres import PostgresServer
from tests.support.settings import make_settings

COMPETITOR_GOAL = 3.0
COMPETITOR_SHARE = 5  # the competitor sends only every fifth email; all would take minutes
OURS = "coinwatch deliver_emails"
LIMIT, EACH = "smtp-source, connections kept", "smtp-source, one each"
COMPETITOR = "EmailMessage, one connection each"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emails", type=int, default=10_000, help="per method and round")
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
    methods: dict[tuple[str, int], Callable[[], float]] = {}
    for connections in (1, 2):
        methods |= {
            (LIMIT, connections): partial(smtp_source, port, emails, connections, size, kept=True),
            (OURS, connections): partial(ours, database, port, emails, connections),
            (EACH, connections): partial(smtp_source, port, emails, connections, size, kept=False),
            (COMPETITOR, connections): partial(
                email_message_each, database, port, emails // COMPETITOR_SHARE, connections
            ),
        }
    seconds: dict[tuple[str, int], list[float]] = {method: [] for method in methods}
    for number in range(rounds):
        for method, deliver in methods.items():
            fill_outbox(database, emails)
            seconds[method].append(deliver() * (COMPETITOR_SHARE if method[0] == COMPETITOR else 1))
            say(f"round {number + 1}: {method[0]}, {method[1]}: {emails / seconds[method][-1]:,.0f} emails/s")
    rate = {method: emails / statistics.median(spent) for method, spent in seconds.items()}
    rows: list[Row] = [
        {
            "method": name,
            "connections": connections,
            "emails/s": rate[name, connections],
            "of the limit": rate[name, connections] / rate[LIMIT, connections],
            "times the competitor": rate[name, connections] / rate[COMPETITOR, connections],
        }
        for name, connections in methods
    ]
    ratios = {connections: rate[OURS, connections] / rate[COMPETITOR, connections] for connections in (1, 2)}
    goals = [
        Goal(f"at least {COMPETITOR_GOAL:g} times {COMPETITOR}, {connections}", ratio, ratio >= COMPETITOR_GOAL)
        for connections, ratio in ratios.items()
    ]
    split = where_time_goes(database, port, emails)
    total = sum(split.values())
    notes = [
        f"{emails:,} emails of {size:,} bytes, medians of {rounds} rounds; ours are claimed and marked durably",
        f"the competitor sent only every {COMPETITOR_SHARE}th email, with texts rendered beforehand",
        "one deliver_emails alone: " + ", ".join(f"{part} {spent / total:.0%}" for part, spent in split.items()),
    ]
    return Report("delivery", "Delivering emails", rows, goals, notes, {"seconds of one deliver_emails": split})


def where_time_goes(database: Database, port: int, emails: int) -> dict[str, float]:
    """Seconds of one sender in this process by activity of its main thread."""
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
    """Add the time spent in a function to a part."""
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
