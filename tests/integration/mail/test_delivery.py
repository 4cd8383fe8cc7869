"""Delivery to a real SMTP server: once, in spite of refusals, lost connections and other senders."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.alerts.matching import match_alerts
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import subscribe
from coinwatch.database import statement, transaction
from coinwatch.mail.delivery import LEASE, MOST_ATTEMPTS, deliver_mail, retry_pause
from coinwatch.settings import Settings
from tests.support.ports import free_port
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import Mailbox, smtp_server


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox


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
    match_alerts(engine, at(1))


def outbox(engine: sa.Engine) -> dict[str, Any]:
    with transaction(engine) as connection:
        return {row.recipient: row for row in connection.execute(sa.text("SELECT * FROM outbox"))}


def deliver(engine: sa.Engine, settings: Settings, minutes: float = 1) -> Any:
    return deliver_mail(engine, settings, clock=lambda: at(minutes))


def test_a_mail_says_what_happened_and_how_to_leave(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    queue(catalog, "ada@example.org")
    assert deliver(catalog, settings).sent == 1
    [message] = mailbox.messages
    assert message["Subject"] == "BTC +5.50 %: 105.5 USD on Kraken"
    assert message["From"] == "coinwatch <alerts@coinwatch.test>"
    assert message["To"] == "ada@example.org"
    row = outbox(catalog)["ada@example.org"]
    assert message["Message-ID"] == f"<{row.message_id}@coinwatch.test>"
    assert b"List-Unsubscribe: <https://coinwatch.test/unsubscribe/" in mailbox.raw[0], "on one line"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = (part.get_content() for part in message.iter_parts())
    for part in (text, html):
        for needed in ("Bitcoin", "105.5 USD", "100 USD", "+5.50 %", "01 Mar 2026, 12:01:00 UTC", "5 % or more"):
            assert needed in part
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
    assert "check COINWATCH_MAIL_FROM: 550 5.7.1" in outbox(catalog)["ada@example.org"].last_error
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


def test_the_mail_of_a_sender_that_died_goes_out_after_its_lease(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    queue(catalog, "ada@example.org")
    claim(catalog, at(1))
    assert deliver(catalog, settings, minutes=1).sent == 0
    after = 1.01 + LEASE.total_seconds() / 60
    assert deliver(catalog, settings, minutes=after).sent == 1


def test_a_sender_whose_lease_ran_out_marks_nothing(catalog: sa.Engine) -> None:
    queue(catalog, "ada@example.org")
    [first] = claim(catalog, at(1))
    later = at(1) + LEASE + timedelta(seconds=1)
    claim(catalog, later)
    with transaction(catalog) as connection:
        parameters = {"id": first.id, "lease": first.lease, "now": later}
        assert connection.execute(statement("mail/mark_sent"), parameters).rowcount == 0


def claim(engine: sa.Engine, now: datetime) -> list[Any]:
    """What a sender does before it dies."""
    with transaction(engine) as connection:
        connection.execute(
            statement("mail/claim"),
            {
                "lease": "00000000-0000-0000-0000-" + f"{int(now.timestamp()):012d}",
                "now": now,
                "leased_until": now + LEASE,
                "most": 10,
            },
        )
        return list(connection.execute(sa.text("SELECT id, lease FROM outbox")))


def test_a_confirmation_leads_to_a_page_and_has_no_list_headers(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    subscribe(catalog, email="ada@example.org", coin="BTC", rule=Rule(threshold=5), now=at(0), confirmed=False)
    deliver(catalog, settings)
    [message] = mailbox.messages
    assert message["Subject"] == "Confirm your price alert for BTC/USD"
    assert message["List-Unsubscribe"] is None
    assert "https://coinwatch.test/confirm/" in mailbox.raw[0].decode()
