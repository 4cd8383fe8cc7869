"""A mail that the server had taken comes back: the report is believed only when it is of a mail of ours."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.alerts.rules import Rule
from coinwatch.database import transaction
from coinwatch.mail.bounces import parse_bounce, process_bounce
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.outbox import list_emails, retry_emails
from coinwatch.pipeline import store_alerts
from tests.conftest import Database
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import smtp_server
from tests.support.subscriptions import subscribe

ADA = "ada@example.org"
GONE = "550 5.1.1 no such user here"
# As postfix 3.7 writes them.
REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mail.example.net>
Subject: Undelivered Mail Returned to Sender
To: alerts@example.org
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4AF9DA0816D.1795189650/mail.example.net"

This is a MIME-encapsulated message.

--4AF9DA0816D.1795189650/mail.example.net
Content-Description: Notification
Content-Type: text/plain; charset=utf-8

<{address}>: host mx.example.net said: {said}

--4AF9DA0816D.1795189650/mail.example.net
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.net
X-Postfix-Sender: rfc822; alerts@example.org

Final-Recipient: rfc822; {address}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--4AF9DA0816D.1795189650/mail.example.net
Content-Description: Undelivered Message
Content-Type: {kind}

{returned}
--4AF9DA0816D.1795189650/mail.example.net--
"""
COMPLAINT = """\
From: <abuse@example.net>
To: <alerts@example.org>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part"

--part
Content-Type: text/plain

This is a report for a mail that was marked as spam.

--part
Content-Type: message/feedback-report

Feedback-Type: {feedback}
User-Agent: SomeGenerator/1.0
Version: 1

--part
Content-Type: text/rfc822-headers

{returned}
--part--
"""


class Subscriber(NamedTuple):
    suppressed_at: datetime | None
    suppression_reason: str | None
    rules: str


@pytest.fixture
def sent(catalog: sa.Engine) -> Iterator[str]:
    """The alert mail that ada was sent."""
    rule = Rule(threshold=5)
    subscribe(catalog, email=ADA, coin="BTC", exchange="kraken", rule=rule, now=at(-1), confirmed=True)
    with smtp_server() as mailbox:
        for minute, price in enumerate((100, 110)):
            load(catalog, quote(price, minute))
            store_alerts(catalog, at(minute))
            deliver_emails(catalog, make_settings(smtp_url=mailbox.url), clock=partial(at, minute))
        [raw] = mailbox.raw
        yield raw.decode("ascii").replace("\r\n", "\n")


def report(returned: str, *, said: str = GONE, status: str = "5.1.1", action: str = "failed", **more: str) -> bytes:
    values = {"address": ADA, "kind": "message/rfc822", "returned": returned} | more
    return REPORT.format(said=said, status=status, action=action, **values).encode()


def headers_of(mail: str) -> str:
    return mail.partition("\n\n")[0] + "\n"


def person(engine: sa.Engine) -> Subscriber:
    with transaction(engine) as connection:
        row = connection.execute(
            sa.text(
                "SELECT suppressed_at, suppression_reason, (SELECT string_agg(status, ' ') FROM subscriptions) FROM users"
            )
        ).one()
        return Subscriber(*row)


def test_an_address_that_is_gone_gets_nothing_more(catalog: sa.Engine, sent: str) -> None:
    returned = process_bounce(catalog, report(sent), at(5))
    assert returned is not None
    assert (returned.recipient, returned.reason, returned.resting) == (ADA, GONE, 1)
    assert person(catalog) == (at(5), GONE, "paused")
    [mail] = list_emails(catalog)
    assert (mail.id, mail.status, mail.last_error) == (returned.outbox_id, "failed", f"came back: {GONE}")


def test_the_mail_is_known_by_its_headers_alone_and_under_another_message_id(catalog: sa.Engine, sent: str) -> None:
    headers = [line for line in headers_of(sent).splitlines() if not line.startswith("Message-ID")]
    rewritten = "\n".join(["Message-ID: <0102018b@eu-west-1.amazonses.com>", *headers, ""])
    assert process_bounce(catalog, report(rewritten, kind="text/rfc822-headers"), at(5)) is not None
    assert person(catalog).suppressed_at == at(5)


@pytest.mark.parametrize("feedback", ["abuse", "Opt-Out"])
def test_who_calls_it_spam_gets_nothing_more(catalog: sa.Engine, sent: str, feedback: str) -> None:
    complaint = COMPLAINT.format(feedback=feedback, returned=headers_of(sent)).encode()
    assert process_bounce(catalog, complaint, at(5)) is not None
    assert person(catalog) == (at(5), "one of our mails was reported as spam", "paused")


@pytest.mark.parametrize(
    ("status", "said", "address"),
    [
        ("5.7.1", "550 5.7.1 message looks like spam", ADA),
        ("4.4.1", "connect to mx.example.net: Connection timed out", ADA),
        ("5.1.1", GONE, "old@forwarded.example"),
    ],
    ids=["policy", "given up", "forwarded to another address"],
)
def test_a_mail_that_fails_for_another_reason_leaves_its_address_alone(
    catalog: sa.Engine, sent: str, status: str, said: str, address: str
) -> None:
    returned = process_bounce(catalog, report(sent, status=status, said=said, address=address), at(5))
    assert returned is not None
    assert (returned.reason, returned.resting) == (said, None)
    assert person(catalog) == (None, None, "active")
    assert [mail.status for mail in list_emails(catalog)] == ["failed"]


def test_delays_answers_and_strangers_change_nothing(catalog: sa.Engine, sent: str) -> None:
    number = sent.partition('boundary="=_')[2][:32]
    holiday = b"From: ada@example.org\nTo: alerts@example.org\nAuto-Submitted: auto-replied\n\nI am away.\n"
    for data in (
        report(sent, action="delayed", status="4.4.1"),
        report(sent.replace(number, uuid4().hex)),
        report(sent.replace(f"To: {ADA}", "To: eve@example.org")),
        report("Subject: not ours\nTo: ada@example.org\n\nhello\n"),
        COMPLAINT.format(feedback="not-spam", returned=headers_of(sent)).encode(),
        holiday,
        b"",
    ):
        assert process_bounce(catalog, data, at(5)) is None, data
    assert person(catalog) == (None, None, "active")
    assert [mail.status for mail in list_emails(catalog)] == ["sent"]


def test_a_report_counts_once(catalog: sa.Engine, sent: str) -> None:
    assert process_bounce(catalog, report(sent), at(5)) is not None
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE users SET suppressed_at = NULL, suppression_reason = NULL"))
    assert process_bounce(catalog, report(sent), at(6)) is None
    assert person(catalog).suppressed_at is None
    assert retry_emails(catalog, [], at(7)) == 1


@given(st.binary(max_size=2_000) | st.text(max_size=500).map(report))
def test_no_mail_breaks_the_reader(data: bytes) -> None:
    assert parse_bounce(data) is None


def test_a_mail_of_boxes_in_boxes_is_no_report() -> None:
    boxes = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(5_000))
    assert parse_bounce(boxes.encode()) is None


def test_a_pipe_reads_it_and_keeps_it_while_postgres_is_away(catalog: sa.Engine, database: Database, sent: str) -> None:
    def piped(url: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(Path(sys.executable).with_name("coinwatch")), "outbox", "process-bounces"]
        environment = {"COINWATCH_DATABASE_URL": url, "COINWATCH_ENV_FILE": "/dev/null", "PATH": ""}
        return subprocess.run(command, input=report(sent), env=environment, capture_output=True, check=False)

    away = piped("postgresql://coinwatch@127.0.0.1:1/coinwatch")
    assert (away.returncode, b"not available" in away.stderr) == (75, True)
    taken = piped(database.url("app"))
    assert taken.returncode == 0, taken.stderr
    assert b"nothing more is sent there, 1 of its rules rest" in taken.stdout
    assert person(catalog).suppressed_at is not None
