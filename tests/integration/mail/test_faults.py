"""Nothing that anybody should be told is lost, whatever dies in the middle of a cycle.

One run of each point; ``python -m benchmarks.outbox`` does the same with every fault at every point, many seeds and the
real lease.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.faults.house import FAULTS, FROZEN, House, fault_house
from tests.support.faults.points import POINTS
from tests.support.faults.run import Outcome

SOON = {  # what makes up the waiting, so that a run takes seconds
    "coinwatch.notifications.claims.LEASE": timedelta(seconds=3),
    "coinwatch.notifications.claims.RENEWED_AFTER": timedelta(seconds=1),
    "coinwatch.mail.delivery.FIRST_PAUSE": timedelta(seconds=1),
    "coinwatch.mail.delivery.AWAY_PAUSE": timedelta(seconds=1),
    "coinwatch.mail.smtp.TIMEOUT_SECONDS": 1,
}
IN_A_TRANSACTION, WITH_MAIL_UNDER_WAY = ("after COPY", "after upsert", "after match"), tuple(POINTS)[-3:]
OF_POSTGRES = [*zip(IN_A_TRANSACTION, FAULTS[1:], strict=True), *zip(WITH_MAIL_UNDER_WAY, FAULTS[1:], strict=True)]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with fault_house(SOON) as house:
        yield house


def nothing_is_lost(outcome: Outcome) -> None:
    assert outcome.alerts > 20
    assert (outcome.lost, outcome.beyond, outcome.raw) == (0, [], []), outcome
    assert outcome.doubled <= outcome.in_flight


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_cycle_loses_nothing(house: House, point: str) -> None:
    outcome = house.fault(1, point, "SIGKILL")
    nothing_is_lost(outcome)
    assert outcome.named == [], "the next process finds everything in order"


@pytest.mark.parametrize(("point", "fault"), OF_POSTGRES)
def test_a_postgres_that_goes_away_loses_nothing(house: House, point: str, fault: str) -> None:
    outcome = house.fault(1, point, fault)
    nothing_is_lost(outcome)
    assert outcome.doubled == 0, "the sender lives, and marks what it has sent when Postgres is back"


def test_a_sender_that_sleeps_through_its_lease_sends_no_more_than_it_has_in_hand(house: House) -> None:
    nothing_is_lost(house.fault(1, "after RCPT", FROZEN))


@pytest.mark.parametrize(
    ("where", "what"),
    [("connect", "close"), ("body", "close"), ("dot", "silence"), ("dot", "451 4.3.0 try later")],
)
def test_a_mail_server_that_fails_once_loses_and_doubles_nothing(house: House, where: str, what: str) -> None:
    outcome = house.trouble(1, where, what)
    nothing_is_lost(outcome)
    assert (outcome.doubled, outcome.refused, outcome.named) == (0, 0, [])


def test_a_mail_is_doubled_only_when_its_acceptance_is_not_heard(house: House) -> None:
    outcome = house.trouble(1, "taken", "close")
    nothing_is_lost(outcome)
    assert outcome.doubled == outcome.in_flight == 1


def test_only_a_refused_recipient_is_disabled(house: House) -> None:
    content = house.trouble(1, "dot", "554 5.7.1 looks like spam")
    recipient = house.trouble(1, "rcpt", "550 5.1.1 no such user")
    for outcome in (content, recipient):
        nothing_is_lost(outcome)
        assert outcome.refused > 0
    assert (content.disabled, recipient.disabled) == (0, 1)
