"""Delivery to a real SMTP server: once, despite rejections, lost connections and other senders."""

import multiprocessing
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from coinwatch.alerts.rules import Rule
from coinwatch.database import create_engine, transaction
from coinwatch.errors import TemporaryEmailError
from coinwatch.mail.delivery import DeliveryResult, deliver_emails
from coinwatch.notifications.claims import GROUP, LEASE, MAX_ATTEMPTS, ClaimedEmail, Claims, retry_pause
from coinwatch.notifications.outbox import get_outbox_status
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
    """Queue one alert email to each address, due at minute 1."""
    for address in addresses:
        subscribe(
            engine, email=address, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(-1), confirmed=True
        )
    load(engine, quote(100.0, 0), quote(105.5, 1))
    store_alerts(engine, at(1))


def outbox(engine: sa.Engine) -> dict[str, Any]:
    with transaction(engine) as connection:
        return {row.recipient: row for row in connection.execute(sa.text("SELECT * FROM outbox"))}


def deliver(engine: sa.Engine, settings: Settings, minutes: float = 1) -> DeliveryResult:
    return deliver_emails(engine, settings, clock=lambda: at(minutes))


def queued(engine: sa.Engine, minutes: float = 1) -> int:
    return get_outbox_status(engine, at(minutes)).queued


def test_email_arrives_with_the_message_id_of_its_outbox_row(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    queue(catalog, "ada@example.org")
    assert deliver(catalog, settings).sent == 1
    [message] = mailbox.messages
    assert message["Subject"].startswith("BTC up 5.5%")
    assert message["From"] == "coinwatch <alerts@coinwatch.test>"
    assert message["To"] == "ada@example.org"
    row = outbox(catalog)["ada@example.org"]
    assert message["Message-ID"] == f"<{row.message_id}@coinwatch.test>"
    assert message["X-Coinwatch-Message"] == f"{row.id}-{row.message_id.hex}"
    assert (row.status, row.sent_at, row.attempts) == ("sent", at(1), 1)


def test_sent_email_is_not_sent_again(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    queue(catalog, "ada@example.org", "bob@example.org")
    deliver(catalog, settings)
    deliver(catalog, settings, minutes=100)
    assert sorted(message["To"] for message in mailbox.messages) == ["ada@example.org", "bob@example.org"]
    assert mailbox.connections == 1, "all emails share one connection, and none is opened without emails"


def test_rejected_recipient_does_not_delay_other_emails(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    mailbox.replies = {"gone@example.org": "550 5.1.1 no such user", "busy@example.org": "451 4.3.0 try later"}
    queue(catalog, "gone@example.org", "busy@example.org", "ada@example.org")
    result = deliver(catalog, settings)
    assert result == DeliveryResult(sent=1, retried=1, failed=1)
    assert queued(catalog) == 1
    rows = outbox(catalog)
    assert (rows["gone@example.org"].status, rows["gone@example.org"].last_error) == (
        "failed",
        "550 5.1.1 no such user",
    )
    busy = rows["busy@example.org"]
    assert (busy.status, busy.next_attempt_at) == ("queued", at(1) + timedelta(seconds=30))
    mailbox.replies = {}
    assert deliver(catalog, settings, minutes=1.2).sent == 0, "the retry delay is not over"
    assert deliver(catalog, settings, minutes=1.6).sent == 1
    assert outbox(catalog)["busy@example.org"].message_id == busy.message_id


def test_addresses_in_replies_of_the_mail_server_are_not_logged(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    mailbox.replies = {"gone@example.org": "550 5.1.1 <gone@example.org>: no such user"}
    queue(catalog, "gone@example.org")
    with capture_logs() as logs:
        deliver(catalog, settings)
    assert "no such user" in str(logs)
    assert "gone@example.org" not in str(logs)


def test_rejected_content_fails_the_email(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    mailbox.data_reply = "554 5.7.1 looks like spam"
    queue(catalog, "ada@example.org")
    assert deliver(catalog, settings).failed == 1


def test_emails_are_kept_while_the_server_is_unavailable(catalog: sa.Engine, mailbox: Mailbox) -> None:
    queue(catalog, *(f"person{number}@example.org" for number in range(5)))
    unavailable = make_settings(smtp_url=f"smtp://127.0.0.1:{free_port()}?tls=none")
    result = deliver(catalog, unavailable)
    assert result == DeliveryResult(sent=0, retried=5, failed=0)
    assert {row.attempts for row in outbox(catalog).values()} == {0}, (
        "an unavailable server does not count as an attempt"
    )
    assert deliver(catalog, make_settings(smtp_url=mailbox.url), minutes=2).sent == 5


def test_email_fails_after_the_last_attempt(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    mailbox.replies = {"ada@example.org": "451 4.3.0 try later"}
    queue(catalog, "ada@example.org")
    for attempt in range(MAX_ATTEMPTS):
        deliver(catalog, settings, minutes=1 + 200 * attempt)
    row = outbox(catalog)["ada@example.org"]
    assert row.status == "failed"
    assert "451 4.3.0 try later" in row.last_error


def test_invalid_payload_is_retried_without_delaying_other_emails(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    queue(catalog, "ada@example.org", "bob@example.org")
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE outbox SET payload = '{}' WHERE recipient = 'ada@example.org'"))
    result = deliver(catalog, settings)
    assert (result.sent, result.retried) == (1, 1)
    row = outbox(catalog)["ada@example.org"]
    assert row.status == "queued"
    assert "KeyError: 'alerts'" in row.last_error


def test_closed_connection_does_not_delay_other_emails(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    mailbox.replies = {"ada@example.org": "421 4.3.0 closing"}
    queue(catalog, "ada@example.org", "bob@example.org")
    result = deliver(catalog, settings)
    assert (result.sent, result.retried) == (1, 1)
    assert outbox(catalog)["ada@example.org"].attempts == 1
    assert mailbox.connections == 2


def test_rejected_sender_does_not_fail_emails(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    mailbox.sender_reply = "550 5.7.1 not your address"
    queue(catalog, "ada@example.org", "bob@example.org")
    result = deliver(catalog, settings)
    assert (result.failed, queued(catalog)) == (0, 2)
    assert "COINWATCH_EMAIL_FROM: 550 5.7.1" in outbox(catalog)["ada@example.org"].last_error
    mailbox.sender_reply = ""
    assert deliver(catalog, settings, minutes=2).sent == 2


def test_retry_delay_doubles_up_to_two_hours() -> None:
    pauses = [retry_pause(attempt).total_seconds() for attempt in range(1, 30)]
    assert pauses[:4] == [30, 60, 120, 240]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 7200


def test_concurrent_senders_send_each_email_once(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    queue(catalog, *(f"person{number}@example.org" for number in range(200)))
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: deliver(catalog, settings), range(6)))
    assert sum(result.sent for result in results) == 200
    assert len({message["To"] for message in mailbox.messages}) == len(mailbox.messages) == 200


class Time:
    """A clock that advances only when waiting or set."""

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


def with_next_attempt(email: ClaimedEmail) -> ClaimedEmail:
    return email._replace(attempts=email.attempts + 1)


def test_claims_of_a_crashed_sender_are_taken_over(catalog: sa.Engine, settings: Settings, mailbox: Mailbox) -> None:
    queue(catalog, "ada@example.org", "bob@example.org")
    clock = Time(1)
    assert len(claims_of(catalog, clock).claim()) == 2, "the sender crashes after claiming"
    clock.now += timedelta(seconds=5)
    result = deliver_emails(catalog, settings, clock=clock, wait=clock.wait)
    assert (result.sent, queued(catalog)) == (2, 0)
    assert clock.now - at(1) < timedelta(seconds=30)
    assert {row.attempts for row in outbox(catalog).values()} == {2}


def test_claims_of_a_running_sender_are_not_taken_over(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    queue(catalog, "ada@example.org", "bob@example.org", "cleo@example.org")
    clock = Time(1)
    running = claims_of(catalog, clock)
    email, _ = running.claim(limit=2)
    clock.meanwhile = lambda: running.holds(email)  # renews the leases when due
    result = deliver_emails(catalog, settings, clock=clock, wait=clock.wait)
    assert (result.sent, queued(catalog)) == (1, 2)
    assert 5 < clock.waited < 10


def test_expired_lease_is_detected_for_each_email(catalog: sa.Engine, mailbox: Mailbox) -> None:
    queue(catalog, *(f"person{number}@example.org" for number in range(4)))
    clock = Time(1)
    with claims_of(catalog, clock) as slow:
        first, *_, last = slow.claim()
        clock.now += LEASE + timedelta(seconds=1)
        with claims_of(catalog, clock) as other:
            taken_over = other.claim(limit=2)
            assert with_next_attempt(first) in taken_over
            slow.mark_accepted(first)
            slow.mark_accepted(last)
            slow.flush()
            assert slow.sent == 1
            assert slow.mark_error(taken_over[1], TemporaryEmailError("too late")) == "lost"
            assert [email.id for email in taken_over if slow.holds(email)] == []
            assert other.release() == 2
    assert {row.status for row in outbox(catalog).values()} == {"queued", "sent"}
    assert {row.attempts for row in outbox(catalog).values() if row.status == "sent"} == {1}


def test_accepted_emails_are_marked_sent_while_the_server_is_slow(catalog: sa.Engine, mailbox: Mailbox) -> None:
    queue(catalog, "ada@example.org", "bob@example.org")
    clock = Time(1)
    with claims_of(catalog, clock) as claims:
        claims.mark_accepted(claims.claim()[0])
        deadline = time.monotonic() + 20
        while not claims.sent and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sorted(row.status for row in outbox(catalog).values()) == ["queued", "sent"]


def test_leases_are_renewed_while_the_server_is_slow(
    catalog: sa.Engine, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coinwatch.notifications.claims.RENEW_AFTER", timedelta(seconds=0.2))
    queue(catalog, "ada@example.org")
    clock = Time(1)
    with claims_of(catalog, clock) as claims:
        [email] = claims.claim()
        clock.now += timedelta(seconds=20)
        deadline = time.monotonic() + 20
        while outbox(catalog)[email.recipient].leased_until <= at(1) + LEASE and time.monotonic() < deadline:
            time.sleep(0.01)
        assert outbox(catalog)[email.recipient].leased_until == clock.now + LEASE


def test_at_most_two_groups_of_accepted_emails_are_unmarked(
    catalog: sa.Engine, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(catalog, *(f"person{number}@example.org" for number in range(5 * GROUP)))
    clock = Time(1)
    with claims_of(catalog, clock) as claims:
        mark, unmarked = claims._mark_sent, []

        def slow_mark(ids: list[int]) -> None:
            time.sleep(0.05)
            mark(ids)

        monkeypatch.setattr(claims, "_mark_sent", slow_mark)
        for number, email in enumerate(claims.claim(), 1):
            claims.mark_accepted(email)
            unmarked.append(number - claims.sent)
        claims.flush()
        assert claims.sent == 5 * GROUP
        assert max(unmarked) <= 2 * GROUP


def test_daily_limit_holds_emails(catalog: sa.Engine, mailbox: Mailbox) -> None:
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
    assert (first.sent, held(catalog, 2)) == (4, 3)
    assert "new@example.org" in {message["To"] for message in mailbox.messages}, "confirmations are sent first"
    later = deliver(catalog, settings, minutes=2 + 60)
    assert (later.sent, held(catalog, 2 + 60)) == (0, 3)
    a_day_later = deliver(catalog, settings, minutes=2 + 1440)
    assert (a_day_later.sent, held(catalog, 2 + 1440)) == (3, 0)
    assert {row.attempts for row in outbox(catalog).values()} == {1}, "held emails are not attempted"


def held(engine: sa.Engine, minutes: float) -> int:
    return get_outbox_status(engine, at(minutes), emails_per_day=4).held_by_limit


def test_concurrent_senders_share_the_daily_limit(catalog: sa.Engine, mailbox: Mailbox) -> None:
    settings = make_settings(smtp_url=mailbox.url, emails_per_day=150)
    queue(catalog, *(f"person{number}@example.org" for number in range(300)))
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: deliver(catalog, settings), range(3)))
    assert sum(result.sent for result in results) == len(mailbox.messages) == 150


def test_sigterm_stops_a_run_between_two_emails(
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
    assert {(row.lease, row.attempts) for row in rows if row.status == "queued"} == {(None, 0)}, "claims are released"


def deliver_alone(database_url: str, smtp_url: str) -> None:
    deliver_emails(create_engine(database_url), make_settings(smtp_url=smtp_url))


def test_confirmation_links_to_its_page_without_list_headers(
    catalog: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    subscribe(catalog, email="ada@example.org", coin="BTC", rule=Rule(threshold=5), now=at(0), confirmed=False)
    deliver(catalog, settings)
    [message] = mailbox.messages
    assert "BTC/USD" in message["Subject"]
    assert message["List-Unsubscribe"] is None
    assert "https://coinwatch.test/confirm/" in mailbox.raw[0].decode()
