"""No alert is lost, whatever fails in the middle of a cycle.

One run of each point; ``python -m benchmarks.outbox`` does the same with every fault at every point, many seeds and the
real lease.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.faults.environment import FAULTS, FROZEN, FaultEnvironment, fault_environment
from tests.support.faults.points import POINTS
from tests.support.faults.run import Outcome

SHORT_WAITS = {  # a run takes seconds
    "coinwatch.notifications.claims.LEASE": timedelta(seconds=3),
    "coinwatch.notifications.claims.RENEW_AFTER": timedelta(seconds=1),
    "coinwatch.notifications.claims.FIRST_PAUSE": timedelta(seconds=1),
    "coinwatch.mail.delivery.UNAVAILABLE_PAUSE": timedelta(seconds=1),
    "coinwatch.mail.smtp.TIMEOUT_SECONDS": 1,
}
IN_A_TRANSACTION, WHILE_SENDING = ("after COPY", "after upsert", "after match"), tuple(POINTS)[-3:]
POSTGRES_FAULTS = [*zip(IN_A_TRANSACTION, FAULTS[1:], strict=True), *zip(WHILE_SENDING, FAULTS[1:], strict=True)]


@pytest.fixture(scope="module")
def environment() -> Iterator[FaultEnvironment]:
    with fault_environment(SHORT_WAITS) as environment:
        yield environment


def assert_nothing_lost(outcome: Outcome) -> None:
    assert outcome.alerts > 20
    assert (outcome.lost, outcome.unexplained, outcome.tracebacks) == (0, [], []), outcome
    assert outcome.duplicates <= outcome.in_flight


@pytest.mark.parametrize("point", POINTS)
def test_killed_cycle_loses_no_alerts(environment: FaultEnvironment, point: str) -> None:
    outcome = environment.fault(1, point, "SIGKILL")
    assert_nothing_lost(outcome)
    assert outcome.known_errors == [], "the next process works normally"


@pytest.mark.parametrize(("point", "fault"), POSTGRES_FAULTS)
def test_postgres_failure_loses_no_alerts(environment: FaultEnvironment, point: str, fault: str) -> None:
    outcome = environment.fault(1, point, fault)
    assert_nothing_lost(outcome)
    assert outcome.duplicates == 0, "the sender survives and marks what it sent once Postgres is back"


def test_frozen_sender_loses_no_alerts(environment: FaultEnvironment) -> None:
    assert_nothing_lost(environment.fault(1, "after RCPT", FROZEN))


@pytest.mark.parametrize(
    ("where", "what"),
    [("connect", "close"), ("body", "close"), ("dot", "silence"), ("dot", "451 4.3.0 try later")],
)
def test_mail_server_failure_neither_loses_nor_duplicates_alerts(
    environment: FaultEnvironment, where: str, what: str
) -> None:
    outcome = environment.server_fault(1, where, what)
    assert_nothing_lost(outcome)
    assert (outcome.duplicates, outcome.rejected, outcome.known_errors) == (0, 0, [])


def test_email_is_duplicated_only_if_its_acceptance_is_unconfirmed(environment: FaultEnvironment) -> None:
    outcome = environment.server_fault(1, "accepted", "close")
    assert_nothing_lost(outcome)
    assert outcome.duplicates == outcome.in_flight == 1


def test_only_a_rejected_recipient_is_suppressed(environment: FaultEnvironment) -> None:
    content = environment.server_fault(1, "dot", "554 5.7.1 looks like spam")
    recipient = environment.server_fault(1, "rcpt", "550 5.1.1 no such user")
    for outcome in (content, recipient):
        assert_nothing_lost(outcome)
        assert outcome.rejected > 0
    assert (content.suppressed, recipient.suppressed) == (0, 1)
