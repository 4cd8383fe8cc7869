"""Bounces: a report is believed only if it has the token of one of our emails."""

import os
import subprocess
import sys
from base64 import encodebytes
from collections.abc import Iterator
from datetime import datetime
from email import message_from_string
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from quopri import encodestring
from typing import NamedTuple
from uuid import uuid4

import pytest
import sqlalchemy as sa
import typer.testing
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.alerts.rules import Rule
from coinwatch.cli.operations import status as status_command
from coinwatch.database import transaction
from coinwatch.mail.bounces import bounce_token, parse_bounce, process_bounce, verp_address
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.outbox import list_emails, retry_emails
from coinwatch.notifications.suppression import COMPLAINED
from coinwatch.pipeline import store_alerts
from tests.conftest import Database
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import Mailbox, smtp_server
from tests.support.subscriptions import subscribe

ADA = "ada@example.org"
FROM = "alerts@example.org"
GONE = "550 5.1.1 no such user here"
# As postfix 3.7 writes it.
REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mail.example.net>
Subject: Undelivered Mail Returned to Sender
To: {to}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4AF9DA0816D.1795189650/mail.example.net"

This is a MIME-encapsulated message.

--4AF9DA0816D.1795189650/mail.example.net
Content-Description: Notification
Content-Type: text/plain; charset=utf-8

<{address}>: host mx.example.net said: {reply}

--4AF9DA0816D.1795189650/mail.example.net
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.net
X-Postfix-Sender: rfc822; alerts@example.org

Final-Recipient: rfc822; {address}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {reply}

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

This is a report about an email that was marked as spam.

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


class Address(NamedTuple):
    suppressed_at: datetime | None
    suppression_reason: str | None
    subscriptions: str


@pytest.fixture
def sent(catalog: sa.Engine) -> Iterator[str]:
    """The alert email sent to ada."""
    rule = Rule(threshold=5)
    subscribe(catalog, email=ADA, coin="BTC", exchange="kraken", rule=rule, now=at(-1), confirmed=True)
    with smtp_server() as mailbox:
        for minute, price in enumerate((100, 110)):
            load(catalog, quote(price, minute))
            store_alerts(catalog, at(minute))
            deliver_emails(catalog, make_settings(smtp_url=mailbox.url), clock=partial(at, minute))
        [raw] = mailbox.raw
        yield raw.decode("ascii").replace("\r\n", "\n")


@pytest.fixture
def other(catalog: sa.Engine, sent: str) -> str:
    """The token of an email sent to eve."""
    insert = """
      WITH eve AS (
        INSERT INTO users (email, verified_at, created_at) VALUES ('eve@example.org', :now, :now) RETURNING id
      )
      INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, status, next_attempt_at, created_at, sent_at)
      SELECT 'eve', id, 'eve@example.org', 'alerts', '{}', 'sent', :now, :now, :now FROM eve RETURNING id, message_id
    """
    with transaction(catalog) as connection:
        return bounce_token(*connection.execute(sa.text(insert), {"now": at(1)}).one())


def report(
    returned: str, *, reply: str = GONE, status: str = "5.1.1", action: str = "failed", to: str = FROM, **more: str
) -> bytes:
    values = {"address": ADA, "kind": "message/rfc822", "returned": returned} | more
    return REPORT.format(reply=reply, status=status, action=action, to=to, **values).encode()


def headers_of(email: str) -> str:
    return email.partition("\n\n")[0] + "\n"


def token_of(email: str) -> str:
    return email.partition("X-Coinwatch-Message: ")[2].partition("\n")[0]


def address(engine: sa.Engine) -> Address:
    """Ada's address, and the states of her subscriptions."""
    query = """
      SELECT suppressed_at, suppression_reason, (SELECT string_agg(status, ' ') FROM subscriptions)
      FROM users WHERE email = :ada
    """
    with transaction(engine) as connection:
        return Address(*connection.execute(sa.text(query), {"ada": ADA}).one())


def test_address_that_does_not_exist_is_suppressed(catalog: sa.Engine, sent: str) -> None:
    bounce = process_bounce(catalog, report(sent), at(5))
    assert bounce is not None
    assert (bounce.recipient, bounce.reason, bounce.paused) == (ADA, GONE, 1)
    assert address(catalog) == (at(5), GONE, "paused")
    [email] = list_emails(catalog)
    assert (email.id, email.status) == (bounce.outbox_id, "failed")
    assert email.last_error is not None
    assert GONE in email.last_error


def test_bounce_is_matched_by_returned_headers_despite_another_message_id(catalog: sa.Engine, sent: str) -> None:
    headers = [line for line in headers_of(sent).splitlines() if not line.startswith("Message-ID")]
    rewritten = "\n".join(["Message-ID: <0102018b@eu-west-1.amazonses.com>", *headers, ""])
    assert process_bounce(catalog, report(rewritten, kind="text/rfc822-headers"), at(5)) is not None
    assert address(catalog).suppressed_at == at(5)


@pytest.mark.parametrize("header", ["To", "Delivered-To"])
def test_bounce_is_matched_by_the_address_it_is_sent_to(catalog: sa.Engine, sent: str, header: str) -> None:
    verp = verp_address("bounces@example.org", token_of(sent))
    returned = "Subject: headers that the server has rewritten\nTo: ada@example.org\n"
    data = report(returned, to=verp if header == "To" else f"{FROM}\n{header}: <{verp}>")
    assert process_bounce(catalog, data, at(5)) is not None
    assert address(catalog).suppressed_at == at(5)


def test_envelope_sender_is_the_bounce_address(catalog: sa.Engine, mailbox: Mailbox) -> None:
    settings = make_settings(smtp_url=mailbox.url, bounce_address="bounces@example.org")
    subscribe(catalog, email=ADA, coin="BTC", rule=Rule(threshold=5), now=at(0), confirmed=False)
    assert deliver_emails(catalog, settings, clock=lambda: at(0)).sent == 1
    [message] = mailbox.messages
    assert mailbox.senders == [verp_address("bounces@example.org", message["X-Coinwatch-Message"])]


@pytest.mark.parametrize("feedback", ["abuse", "Opt-Out"])
def test_complaint_suppresses_the_address(catalog: sa.Engine, sent: str, feedback: str) -> None:
    complaint = COMPLAINT.format(feedback=feedback, returned=headers_of(sent)).encode()
    assert process_bounce(catalog, complaint, at(5)) is not None
    assert address(catalog) == (at(5), COMPLAINED, "paused")


@pytest.mark.parametrize(
    ("status", "reply", "failed_address"),
    [
        ("5.7.1", "550 5.7.1 message looks like spam", ADA),
        ("4.4.1", "connect to mx.example.net: Connection timed out", ADA),
        ("5.1.1", GONE, "old@forwarded.example"),
    ],
    ids=["policy", "given up", "forwarded to another address"],
)
def test_failure_unrelated_to_the_address_does_not_suppress_it(
    catalog: sa.Engine, sent: str, status: str, reply: str, failed_address: str
) -> None:
    bounce = process_bounce(catalog, report(sent, status=status, reply=reply, address=failed_address), at(5))
    assert bounce is not None
    assert (bounce.reason, bounce.paused) == (reply, None)
    assert address(catalog) == (None, None, "active")
    assert [email.status for email in list_emails(catalog)] == ["failed"]


def variant(text: str, *replacements: tuple[str, str]) -> bytes:
    """A report in which something is written as another mail server writes it."""
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text.encode()


FINAL = f"Final-Recipient: rfc822; {ADA}"
STATUS, DIAGNOSTIC = "Status: 5.1.1", f"Diagnostic-Code: smtp; {GONE}"
OTHER_RECIPIENT = """Final-Recipient: rfc822; old@forwarded.example
Action: failed
Status: 5.7.1
Diagnostic-Code: smtp; 550 5.7.1 no

"""


@pytest.mark.parametrize(
    "replacement",
    [
        (STATUS, "Status: 5.0.0"),
        (STATUS, "Status: 5.7.1 (whatever)"),
        (
            DIAGNOSTIC,
            "Diagnostic-Code: smtp; 550-5.1.1 The account does not exist.\n 550-5.1.1 Please check it. 550 5.1.1",
        ),
        (DIAGNOSTIC, 'Diagnostic-Code: X-Postfix; unknown user: "ada"'),
        (DIAGNOSTIC, "Diagnostic-Code: smtp; 550 no such user here"),
        (
            DIAGNOSTIC,
            "Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by SMTP address lookup",
        ),
        (DIAGNOSTIC, "Diagnostic-Code: 550 5.1.1 <ada@example.org>... User unknown"),
        (DIAGNOSTIC, "Diagnostic-Code: smtp; 550 5.1.1 Empfänger unbekannt"),
        (f"{DIAGNOSTIC}\n", ""),
        (FINAL, "Final-Recipient: RFC822; <ADA@EXAMPLE.ORG>"),
        (FINAL, f"Final-Recipient: {ADA}"),
        (FINAL, f"Original-Recipient: rfc822;{ADA}"),
        (FINAL, f"Final-Recipient: rfc822; alias@elsewhere.example\nOriginal-Recipient: rfc822; {ADA}"),
        (f"{FINAL}\n", ""),
        ("Action: failed", "Action: Failed (bad destination mailbox)"),
        (FINAL, f"{OTHER_RECIPIENT}{FINAL}"),
        (
            DIAGNOSTIC,
            "Diagnostic-Code: smtp; DNS Error: DNS type 'mx' lookup of example.org responded with code NXDOMAIN",
        ),
        ("From: Mail", "From MAILER-DAEMON Sun Mar  1 00:05:00 2026\nFrom: Mail"),
        ("\n", "\r\n"),
    ],
    ids=lambda replacement: replacement[1].replace("\n", " ")[:60] or f"without {replacement[0][:20]}",
)
def test_reports_of_other_mail_servers_are_understood(
    catalog: sa.Engine, sent: str, replacement: tuple[str, str]
) -> None:
    bounce = process_bounce(catalog, variant(report(sent).decode(), replacement), at(5))
    assert bounce is not None
    assert (bounce.recipient, bounce.paused) == (ADA, 1)


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.7.1 message looks like spam",
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "550 relay not permitted",
        "552 mailbox full",
        "550 5.1.1 <alerts@example.org>: Sender address rejected: User unknown",
        "550 5.4.1 Recipient address rejected: Access denied",
    ],
)
@pytest.mark.parametrize("status", ["5.0.0", "5.1.1"])
def test_diagnostic_code_takes_precedence_over_the_status(
    catalog: sa.Engine, sent: str, reply: str, status: str
) -> None:
    bounce = process_bounce(catalog, report(sent, status=status, reply=reply), at(5))
    assert bounce is not None
    assert (bounce.reason, bounce.paused) == (reply, None)
    assert address(catalog) == (None, None, "active")


def test_status_says_what_to_do_about_reports_that_blame_us(
    catalog: sa.Engine, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_bounce(catalog, report(sent, status="5.0.0", reply="550 5.7.26 This mail is unauthenticated"), at(5))
    monkeypatch.setattr(status_command, "get_engine", lambda: catalog)
    monkeypatch.setattr(status_command, "utc_now", lambda: at(6))
    monkeypatch.setattr(status_command, "get_settings", make_settings)
    said = typer.testing.CliRunner().invoke(status_command.app, []).output
    assert "1 failed; most common error: bounced: the mail server" in said
    assert "check its SPF, DKIM and DMARC records: 550 5.7.26" in said


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_encoded_report_is_understood(catalog: sa.Engine, sent: str, encoding: str) -> None:
    before, kind, rest = report(sent).decode().partition("Content-Type: message/delivery-status\n\n")
    fields, boundary, after = rest.partition("\n--4AF9")
    encoded = encodebytes(fields.encode()) if encoding == "base64" else encodestring(fields.encode())
    header = f"Content-Type: message/delivery-status\nContent-Transfer-Encoding: {encoding}\n\n"
    assert kind
    bounce = process_bounce(catalog, f"{before}{header}{encoded.decode()}{boundary}{after}".encode(), at(5))
    assert bounce is not None
    assert bounce.paused == 1


def test_internationalized_report_is_understood(catalog: sa.Engine) -> None:
    """RFC 6533: the report and the returned email have other types, and addresses are in UTF-8."""
    ada = "ada@müller.example"
    rule = Rule(threshold=5)
    subscribe(catalog, email=ada, coin="BTC", exchange="kraken", rule=rule, now=at(-1), confirmed=True)
    with smtp_server() as mailbox:
        for minute, price in enumerate((100, 110)):
            load(catalog, quote(price, minute))
            store_alerts(catalog, at(minute))
            deliver_emails(catalog, make_settings(smtp_url=mailbox.url), clock=partial(at, minute))
        [raw] = mailbox.raw
    text = report(raw.decode("ascii").replace("\r\n", "\n"), address=ada, kind="message/global").decode()
    data = variant(text, ("message/delivery-status", "message/global-delivery-status"), ("rfc822; ada", "utf-8; ada"))
    bounce = process_bounce(catalog, data, at(5))
    assert bounce is not None
    assert (bounce.recipient, bounce.paused) == ("ada@xn--mller-kva.example", 1)


AUTOMATIC_REPLIES = {
    "German": ("Abwesenheitsnotiz: BTC", "Ich bin bis 4. Januar nicht erreichbar. 550 5.1.1 steht hier nur so."),
    "Japanese": ("自動返信: BTC", "不在にしております。ご用件は後日承ります。"),
    "mailbox full warning": ("Your mailbox is almost full", "Status: 5.2.2"),
}


@pytest.mark.parametrize("name", [*AUTOMATIC_REPLIES, "read receipt", "relayed"])
def test_automatic_reply_with_the_token_is_not_a_bounce(catalog: sa.Engine, sent: str, name: str) -> None:
    """It is sent to the envelope sender, which has the token, and may quote our email."""
    to = verp_address("bounces@example.org", token_of(sent))
    if name == "relayed":
        data = report(sent, action="relayed", status="2.1.9", reply="250 ok", to=to)
    elif name == "read receipt":
        text = report(sent, to=to).decode()
        data = variant(
            text, ("message/delivery-status", "message/disposition-notification"), ("Action: ", "X-Action: ")
        )
    else:
        subject, body = AUTOMATIC_REPLIES[name]
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = ADA, to, subject
        message["Auto-Submitted"] = "auto-replied"
        message.set_content(body)
        message.add_attachment(message_from_string(sent))
        data = message.as_bytes()
    assert process_bounce(catalog, data, at(5)) is None
    assert address(catalog) == (None, None, "active")


def test_unrelated_email_changes_nothing(catalog: sa.Engine, sent: str) -> None:
    outbox_id, _, message_id = token_of(sent).partition("-")
    vacation = b"From: ada@example.org\nTo: alerts@example.org\nAuto-Submitted: auto-replied\n\nI am away.\n"
    for data in (
        report(sent, action="delayed", status="4.4.1"),
        report(sent.replace(message_id, uuid4().hex)),
        report(sent.replace(f"{outbox_id}-{message_id}", f"{outbox_id}1-{message_id}")),
        report("Subject: not ours\nTo: ada@example.org\n\nhello\n"),
        report("Subject: not ours\n", to=f"bounces+{outbox_id}-{uuid4().hex}@example.org"),
        COMPLAINT.format(feedback="not-spam", returned=headers_of(sent)).encode(),
        vacation,
        b"",
    ):
        assert process_bounce(catalog, data, at(5)) is None, data
    assert address(catalog) == (None, None, "active")
    assert [email.status for email in list_emails(catalog)] == ["sent"]


def test_token_cannot_suppress_another_recipient(catalog: sa.Engine, sent: str, other: str) -> None:
    """Eve knows the token of her own email and sends a report about ada."""
    bounce = process_bounce(catalog, report(sent.replace(token_of(sent), other)), at(5))
    assert bounce is not None
    assert (bounce.recipient, bounce.paused) == ("eve@example.org", None)
    assert address(catalog) == (None, None, "active")


def test_repeated_report_is_ignored(catalog: sa.Engine, sent: str) -> None:
    assert process_bounce(catalog, report(sent), at(5)) is not None
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE users SET suppressed_at = NULL, suppression_reason = NULL"))
    assert process_bounce(catalog, report(sent), at(6)) is None
    assert address(catalog).suppressed_at is None
    assert retry_emails(catalog, [], at(7)) == 1


@given(st.binary(max_size=2_000) | st.text(max_size=500).map(report))
def test_parser_accepts_any_email(data: bytes) -> None:
    assert parse_bounce(data) is None


def test_deeply_nested_email_is_ignored() -> None:
    nested = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(5_000))
    assert parse_bounce(nested.encode()) is None


def test_command_requests_a_retry_while_postgres_is_down(catalog: sa.Engine, database: Database, sent: str) -> None:
    def run(url: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(Path(sys.executable).with_name("coinwatch")), "outbox", "process-bounces"]
        environment = {"COINWATCH_DATABASE_URL": url, "COINWATCH_ENV_FILE": "/dev/null", "PATH": ""}
        return subprocess.run(command, input=report(sent), env=environment, capture_output=True, check=False)

    assert run("postgresql://coinwatch@127.0.0.1:1/coinwatch").returncode == os.EX_TEMPFAIL
    processed = run(database.url("app"))
    assert processed.returncode == 0, processed.stderr
    assert b"address suppressed" in processed.stdout
    assert address(catalog).suppressed_at is not None
