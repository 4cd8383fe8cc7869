"""Delivery to a real SMTP server: once, in spite of refusals, lost connections and other senders."""

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.database import create_engine, transaction
from coinwatch.mail.delivery import MOST_ATTEMPTS, deliver_emails, retry_pause
from coinwatch.notifications.claims import LEASE, Claims
from coinwatch.pipeline import store_alerts
from coinwatch.settings import Settings
from tests.conftest import Database
from tests.support.ports import free_port
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import subscribe


@pytest.fixture
def settings(mailbox: Mailbox) -> Settings:
    return make_settings(smtp_url=mailbox.url)


def queue(engine: sa.Engine, *addresses: str) -> None:
    """One alert mail to each address, due at minute 1."""
    for address in addresses:
        subscribe(
            engine, email=address, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(-1), confirmed=True
        )
    load(engine, quote(100.0, 0), quote(105.5, 1))
    store_alerts(engine, at(1))


def outbox(engine: sa.Engine) -> dict[str, Any]:
    with transaction(engine) as connection:
        return {row.recipient: row for row in connection.execute(sa.text("SELECT * FROM outbox"))}


def deliver(engine: sa.Engine, settings: Settings, minutes: float = 1) -> Any:
    return deliver_emails(engine, settings, clock=lambda: at(minutes))


def test_a_mail_arrives_as_the_outbox_names_it(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    queue(catalog, "ada@example.org")
    assert deliver(catalog, settings).sent == 1
    [message] = mailbox.messages
    assert message["Subject"].startswith("BTC +5.5")
    assert message["From"] == "coinwatch <alerts@coinwatch.test>"
    assert message["To"] == "ada@example.org"
    row = outbox(catalog)["ada@example.org"]
    assert message["Message-ID"] == f"<{row.message_id}@coinwatch.test>"
    assert (row.status, row.sent_at, row.attempts) == ("sent", at(1), 1)


def test_what_is_sent_is_not_sent_again(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    queue(catalog, "ada@example.org", "bob@example.org")
    deliver(catalog, settings)
    deliver(catalog, settings, minutes=100)
    assert sorted(message["To"] for message in mailbox.messages) == ["ada@example.org", "bob@example.org"]
    assert mailbox.connections == 1, "one connection carries all mails, none is opened for nothing"


def test_a_refused_recipient_never_keeps_back_the_others(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    mailbox.answers = {"gone@example.org": "550 5.1.1 no such user", "busy@example.org": "451 4.3.0 try later"}
    queue(catalog, "gone@example.org", "busy@example.org", "ada@example.org")
    result = deliver(catalog, settings)
    assert (result.sent, result.retried, result.failed, result.queued) == (1, 1, 1, 1)
    rows = outbox(catalog)
    assert (rows["gone@example.org"].status, rows["gone@example.org"].last_error) == (
        "failed",
        "550 5.1.1 no such user",
    )
    busy = rows["busy@example.org"]
    assert (busy.status, busy.next_attempt_at) == ("queued", at(1) + timedelta(seconds=30))
    mailbox.answers = {}
    assert deliver(catalog, settings, minutes=1.2).sent == 0, "not before its pause is over"
    assert deliver(catalog, settings, minutes=1.6).sent == 1
    assert outbox(catalog)["busy@example.org"].message_id == busy.message_id


def test_a_refusal_of_the_content_counts_as_one_of_the_message(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    mailbox.data_answer = "554 5.7.1 looks like spam"
    queue(catalog, "ada@example.org")
    assert deliver(catalog, settings).failed == 1


def test_a_server_that_is_away_for_long_costs_no_mail(catalog: sa.Engine, mailbox: Mailbox) -> None:
    queue(catalog, *(f"person{number}@example.org" for number in range(5)))
    away = make_settings(smtp_url=f"smtp://127.0.0.1:{free_port()}?tls=none")
    result = deliver(catalog, away)
    assert (result.sent, result.retried, result.queued) == (0, 5, 5)
    assert {row.attempts for row in outbox(catalog).values()} == {0}, "that says nothing about the mails"
    assert deliver(catalog, make_settings(smtp_url=mailbox.url), minutes=2).sent == 5


def test_a_mail_that_never_gets_through_is_given_up_and_says_why(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    mailbox.answers = {"ada@example.org": "451 4.3.0 try later"}
    queue(catalog, "ada@example.org")
    for attempt in range(MOST_ATTEMPTS):
        deliver(catalog, settings, minutes=1 + 200 * attempt)
    row = outbox(catalog)["ada@example.org"]
    assert (row.status, row.last_error) == ("failed", "given up after 20 attempts: 451 4.3.0 try later")


def test_a_row_that_cannot_be_built_is_kept_and_keeps_nothing_back(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    queue(catalog, "ada@example.org", "bob@example.org")
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE outbox SET payload = '{}' WHERE recipient = 'ada@example.org'"))
    result = deliver(catalog, settings)
    assert (result.sent, result.retried) == (1, 1)
    row = outbox(catalog)["ada@example.org"]
    assert (row.status, row.last_error) == ("queued", "the mail cannot be built: KeyError: 'alerts'")


def test_a_message_at_which_the_server_hangs_up_keeps_nothing_back(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    mailbox.answers = {"ada@example.org": "421 4.3.0 closing"}
    queue(catalog, "ada@example.org", "bob@example.org")
    result = deliver(catalog, settings)
    assert (result.sent, result.retried) == (1, 1)
    assert outbox(catalog)["ada@example.org"].attempts == 1
    assert mailbox.connections == 2


def test_a_refused_sender_is_our_setting_and_gives_up_no_mail(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    mailbox.sender_answer = "550 5.7.1 not your address"
    queue(catalog, "ada@example.org", "bob@example.org")
    result = deliver(catalog, settings)
    assert (result.failed, result.queued) == (0, 2)
    assert "check COINWATCH_EMAIL_FROM: 550 5.7.1" in outbox(catalog)["ada@example.org"].last_error
    mailbox.sender_answer = ""
    assert deliver(catalog, settings, minutes=2).sent == 2


def test_pauses_double_up_to_two_hours() -> None:
    pauses = [retry_pause(attempt).total_seconds() for attempt in range(1, 30)]
    assert pauses[:4] == [30, 60, 120, 240]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 7200


def test_many_senders_at_once_send_each_mail_once(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    queue(catalog, *(f"person{number}@example.org" for number in range(200)))
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: deliver(catalog, settings), range(6)))
    assert sum(result.sent for result in results) == 200
    assert len({message["To"] for message in mailbox.messages}) == len(mailbox.messages) == 200


class Time:
    """A clock that goes on only while somebody waits, or is told to."""

    def __init__(self, minutes: float) -> None:
        self.now = at(minutes)
        self.waited = 0.0
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.waited += seconds
        self.meanwhile()


def claims_of(engine: sa.Engine, clock: Time) -> Claims:
    return Claims(engine, clock, clock.wait)


def test_what_a_dead_sender_had_claimed_is_waited_for_and_sent(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    queue(catalog, "ada@example.org", "bob@example.org")
    clock = Time(1)
    assert len(claims_of(catalog, clock).take()) == 2, "and then it dies"
    clock.now += timedelta(seconds=5)
    result = deliver_emails(catalog, settings, clock=clock, wait=clock.wait)
    assert (result.sent, result.queued) == (2, 0)
    assert clock.now - at(1) < timedelta(seconds=30)
    assert {row.attempts for row in outbox(catalog).values()} == {2}


def test_a_sender_that_lives_is_left_alone(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    queue(catalog, "ada@example.org", "bob@example.org", "cleo@example.org")
    clock = Time(1)
    living = claims_of(catalog, clock)
    living.take(most=2)
    clock.meanwhile = living.renew
    result = deliver_emails(catalog, settings, clock=clock, wait=clock.wait)
    assert (result.sent, result.queued) == (1, 2), "what the other has is not ours"
    assert 5 < clock.waited < 10


def test_a_lease_that_ran_out_is_noticed_mail_by_mail(catalog: sa.Engine, mailbox: Mailbox) -> None:
    queue(catalog, *(f"person{number}@example.org" for number in range(4)))
    clock = Time(1)
    slow, other = claims_of(catalog, clock), claims_of(catalog, clock)
    first, *_, last = slow.take()
    clock.now += LEASE + timedelta(seconds=1)
    taken = other.take(most=2)
    assert first in [mail._replace(attempts=1) for mail in taken]
    slow.accepted(first)
    slow.accepted(last)
    slow.mark_sent()
    assert slow.sent == 1
    assert not slow.mark_retry(taken[1], clock.now, "too late")
    assert [mail.id for mail in taken if slow.holds(mail)] == []
    assert other.give_back() == 2
    assert {row.status for row in outbox(catalog).values()} == {"queued", "sent"}
    assert {row.attempts for row in outbox(catalog).values()} == {1}


def test_no_more_mails_go_out_in_a_day_than_the_provider_allows(catalog: sa.Engine, mailbox: Mailbox) -> None:
    settings = make_settings(smtp_url=mailbox.url, emails_per_day=4)
    queue(catalog, *(f"person{number}@example.org" for number in range(6)))
    subscribe(
        catalog,
        email="new@example.org",
        coin="BTC",
        rule=Rule(threshold=5),
        now=at(1),
        confirmed=False,
        exchange="kraken",
    )
    first = deliver(catalog, settings, minutes=2)
    assert (first.sent, first.queued, first.held) == (4, 3, 3)
    assert "new@example.org" in {message["To"] for message in mailbox.messages}, "confirmations first"
    later = deliver(catalog, settings, minutes=2 + 60)
    assert (later.sent, later.held) == (0, 3)
    a_day_later = deliver(catalog, settings, minutes=2 + 1440)
    assert (a_day_later.sent, a_day_later.held) == (3, 0)
    assert {row.attempts for row in outbox(catalog).values()} == {1}, "what was held back was not tried"


def test_two_senders_together_keep_to_the_daily_limit(catalog: sa.Engine, mailbox: Mailbox) -> None:
    settings = make_settings(smtp_url=mailbox.url, emails_per_day=150)
    queue(catalog, *(f"person{number}@example.org" for number in range(300)))
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: deliver(catalog, settings), range(3)))
    assert sum(result.sent for result in results) == len(mailbox.messages) == 150


def test_sigterm_ends_the_sender_between_two_mails(
    catalog: sa.Engine, database: Database, settings: Settings, mailbox: Mailbox
) -> None:
    queue(catalog, *(f"person{number}@example.org" for number in range(200)))
    process = multiprocessing.get_context("spawn").Process(
        target=deliver_alone, args=(database.url(), settings.smtp_url.get_secret_value())
    )
    mailbox.on_message = lambda number: process.terminate() if number == 20 else None
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGTERM
    rows = list(outbox(catalog).values())
    arrived = {message["To"] for message in mailbox.messages}
    assert {row.recipient for row in rows if row.status == "sent"} == arrived
    assert 20 <= len(arrived) == len(mailbox.messages) < 200
    assert {(row.lease, row.attempts) for row in rows if row.status == "queued"} == {(None, 0)}, "nothing to wait for"


def deliver_alone(database_url: str, smtp_url: str) -> None:
    deliver_emails(create_engine(database_url), make_settings(smtp_url=smtp_url))


def test_a_confirmation_leads_to_a_page_and_has_no_list_headers(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    subscribe(catalog, email="ada@example.org", coin="BTC", rule=Rule(threshold=5), now=at(0), confirmed=False)
    deliver(catalog, settings)
    [message] = mailbox.messages
    assert message["Subject"] == "Confirm your price alert for BTC/USD"
    assert message["List-Unsubscribe"] is None
    assert "https://coinwatch.test/confirm/" in mailbox.raw[0].decode()
