"""Bounces: what a mail server that accepted an email reports about it later, by email.

Delivery reports (RFC 3464, RFC 6533) and spam complaints (RFC 5965). What a mail server's reply in a report means is
decided as if it had come while sending (mail/replies.py). Anyone can write to our address, so a report is believed
only if it has an email's token, which nobody but its recipient and the servers on its way can know. The token is in
the ``X-Coinwatch-Message`` header, because some providers (Amazon SES) replace the Message-ID, and with
``COINWATCH_BOUNCE_ADDRESS`` also in the address that reports are sent to (VERP).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from uuid import UUID

import structlog
from sqlalchemy import Engine

from coinwatch.addresses import normalize_address
from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.logs import without_addresses
from coinwatch.mail.replies import Outcome, classify, parse_diagnostic, parse_reply
from coinwatch.notifications.suppression import COMPLAINED, suppress_address

MESSAGE_HEADER = "X-Coinwatch-Message"
TOKEN = re.compile(r"([0-9]{1,18})-([0-9a-f]{32})")
VERP_TOKEN = re.compile(rf"\+{TOKEN.pattern}@")
RECIPIENT_HEADERS = ("To", "Delivered-To", "X-Original-To", "Envelope-To")
COMPLAINTS = ("abuse", "fraud", "opt-out")
REPORT_KINDS = ("delivery-status", "global-delivery-status")
RETURNED_KINDS = ("message/rfc822", "message/global")
RETURNED_HEADERS = ("text/rfc822-headers", "message/global-headers")
MAX_REASON = 300

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient of a report: ``addresses`` are all that it names, none if it only says that the email failed.

    ``about_mailbox`` means that it will never accept email. ``advice`` says what to do about a reason that is ours, and
    is empty for others.
    """

    addresses: frozenset[str]
    reason: str
    about_mailbox: bool
    advice: str = ""

    def __str__(self) -> str:
        return f"bounced: the mail server {self.advice}: {self.reason}" if self.advice else f"bounced: {self.reason}"


@dataclass(frozen=True, slots=True)
class BounceReport:
    """What a report says about one of our emails: it failed, or its recipient reported it as spam."""

    outbox_id: int
    message_id: UUID
    failures: tuple[Failure, ...] = ()
    complaint: bool = False

    def failure_of(self, recipient: str) -> Failure:
        """What it says about the email's only recipient.

        It may name several addresses, because the recipient's server can forward the email. A failure without an
        address can only be about the recipient.
        """
        own = [failure for failure in self.failures if not failure.addresses or recipient.lower() in failure.addresses]
        if own:
            return own[0]
        return replace(self.failures[0], about_mailbox=False)


@dataclass(frozen=True, slots=True)
class Bounce:
    """An email that bounced.

    ``paused`` counts the subscriptions paused with it; None if its address was not suppressed.
    """

    outbox_id: int
    recipient: str
    reason: str
    paused: int | None


def bounce_token(outbox_id: int, message_id: UUID) -> str:
    """What identifies an email in its bounces; ``message_id`` is random."""
    return f"{outbox_id}-{message_id.hex}"


def verp_address(bounce_address: str, token: str) -> str:
    """The envelope sender of one email: bounces+TOKEN@example.org."""
    name, _, domain = bounce_address.rpartition("@")
    return f"{name}+{token}@{domain}"


def process_bounce(engine: Engine, data: bytes, now: datetime) -> Bounce | None:
    """Mark the email that a report is about as failed, and suppress its address if it will never accept email.

    ``data`` is the report, an email as it arrived. Return None, and change nothing, if it is not a report about an
    email of ours, or if that email has already bounced. Raises DatabaseError.
    """
    report = parse_bounce(data)
    if report is None:
        return None
    with transaction(engine) as connection:
        acquire_lock(connection, Lock.EVALUATION)  # before the row's lock, as suppress_address requires
        sent = {"id": report.outbox_id, "message_id": report.message_id}
        recipient = connection.execute(statement("notifications/outbox/find_sent_email"), sent).scalar_one_or_none()
        if recipient is None:
            return None
        failure = Failure(frozenset(), COMPLAINED, True) if report.complaint else report.failure_of(recipient)
        bounced = {"id": report.outbox_id, "error": str(failure), "now": now}
        connection.execute(statement("notifications/outbox/mark_bounced"), bounced)
        paused = suppress_address(connection, recipient, now, failure.reason) if failure.about_mailbox else None
    error = without_addresses(failure.reason)
    log.warning("email bounced", outbox_id=report.outbox_id, subscriptions_paused=paused, error=error)
    return Bounce(report.outbox_id, recipient, failure.reason, paused)


def parse_bounce(data: bytes) -> BounceReport | None:
    """What a report says about an email of ours; None for any other email, such as an automatic reply or a delay."""
    try:
        report = message_from_bytes(data)
        token = _token(report)
        if token is None:
            return None
        for fields in _fields(report, "feedback-report"):
            if _word(fields["Feedback-Type"]) in COMPLAINTS:
                return BounceReport(*token, complaint=True)
        groups = (fields for kind in REPORT_KINDS for fields in _fields(report, kind))
        failures = tuple(_failure(fields) for fields in groups if _word(fields["Action"]) == "failed")
    except RecursionError:  # an attack: a thousand nested parts
        return None
    return BounceReport(*token, failures) if failures else None


def _failure(fields: Message) -> Failure:
    """The diagnostic code takes precedence over the status, which is often 5.0.0, or 5.1.1 whatever the reason was."""
    addresses = {_address(fields[name]) for name in ("Final-Recipient", "Original-Recipient") if fields[name]}
    status, diagnostic = _line(fields["Status"]), _line(fields["Diagnostic-Code"])
    reply = parse_diagnostic(diagnostic, status)
    text = diagnostic.partition(";")[2].strip() or diagnostic
    if reply is None:
        reply = parse_reply(550 if status.startswith("5") else 450, f"{status} {text}".encode())
    verdict = classify(reply)
    about_mailbox = verdict.outcome is Outcome.SUPPRESS
    return Failure(frozenset(addresses - {""}), (text or status)[:MAX_REASON], about_mailbox, verdict.advice)


def _token(report: Message) -> tuple[int, UUID] | None:
    """The outbox id and message id of the email that a report is about."""
    for headers in _returned_headers(report):
        found = TOKEN.fullmatch(str(headers[MESSAGE_HEADER]).strip())
        if found:
            return int(found[1]), UUID(found[2])
    recipients = " ".join(str(value) for name in RECIPIENT_HEADERS for value in report.get_all(name, []))
    found = VERP_TOKEN.search(recipients)
    return (int(found[1]), UUID(found[2])) if found else None


def _returned_headers(report: Message) -> Iterator[Message]:
    """The headers of the emails that a report returns."""
    for part in report.walk():
        kind, payload = part.get_content_type(), part.get_payload()
        if kind in RETURNED_KINDS and isinstance(payload, list) and isinstance(payload[0], Message):
            yield payload[0]
        elif kind in RETURNED_HEADERS:
            yield message_from_string(_content(part))


def _fields(report: Message, kind: str) -> Iterator[Message]:
    """The groups of fields in a report's part of one kind: one about the report, then one for each recipient."""
    for part in report.walk():
        if part.get_content_type() == f"message/{kind}":
            for group in re.split(r"\n\s*\n", _content(part)):
                yield message_from_string(group.strip())


def _content(part: Message) -> str:
    """A part's text. The parser splits a ``message/…`` into messages, also if it is encoded, which some servers do."""
    payload = part.get_payload()
    if isinstance(payload, list):
        raw = b"\n".join(group.as_bytes() for group in payload if isinstance(group, Message))
        part.set_payload(raw.decode("ascii", "surrogateescape"))
    content = part.get_payload(decode=True)
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
    return text.replace("\r\n", "\n")


def _line(value: object) -> str:
    """A field's value on one line, without control characters."""
    line = " ".join(str(value or "").split())
    return "".join(character for character in line if character.isprintable())


def _word(value: object) -> str:
    """A field's first word in lower case, without a comment: "failed (bad mailbox)" is "failed"."""
    return next(iter(re.split(r"[\s(;]", str(value or "").strip().lower())))


def _address(value: object) -> str:
    """The address in ``rfc822; <Ada@example.org>``, in lower case and as it is stored; "" if there is none."""
    address = _line(value).rpartition(";")[2].strip().strip("<>")
    return normalize_address(address.partition(" ")[0].strip("<>")).lower()
