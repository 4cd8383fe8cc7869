"""Bounces: what a mail server that accepted an email reports about it later, by email.

Delivery reports (RFC 3464) and spam complaints (RFC 5965). Anyone can write to our address, so a report is believed
only if it has an email's token, which nobody but its recipient and the servers on its way can know. The token is in
the ``X-Coinwatch-Message`` header, because some providers (Amazon SES) replace the Message-ID, and with
``COINWATCH_BOUNCE_ADDRESS`` also in the address that reports are sent to (VERP).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from uuid import UUID

import structlog
from sqlalchemy import Engine

from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.logs import without_addresses
from coinwatch.notifications.suppression import COMPLAINED, suppress_address

MESSAGE_HEADER = "X-Coinwatch-Message"
TOKEN = re.compile(r"([0-9]{1,18})-([0-9a-f]{32})")
VERP_TOKEN = re.compile(rf"\+{TOKEN.pattern}@")
RECIPIENT_HEADERS = ("To", "Delivered-To", "X-Original-To", "Envelope-To")
COMPLAINTS = ("abuse", "fraud", "opt-out")
# RFC 3463: a system error or a policy says nothing about the address.
NOT_ABOUT_ADDRESS = re.compile(r"5\.(3|7)\.\d")
MAX_REASON = 300

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BounceReport:
    """What a report says about one of our emails.

    ``failed_addresses`` are those, in small letters, that will never accept email. A ``complaint`` is about its
    recipient.
    """

    outbox_id: int
    message_id: UUID
    reason: str
    failed_addresses: frozenset[str] = frozenset()
    complaint: bool = False


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
    bounced = {
        "id": report.outbox_id,
        "message_id": report.message_id,
        "error": f"bounced: {report.reason}",
        "now": now,
    }
    with transaction(engine) as connection:
        if report.complaint or report.failed_addresses:
            acquire_lock(connection, Lock.EVALUATION)  # before the row's lock, as suppress_address requires
        recipient = connection.execute(statement("notifications/outbox/mark_bounced"), bounced).scalar_one_or_none()
        if recipient is None:
            return None
        paused = None
        if report.complaint or recipient.lower() in report.failed_addresses:
            paused = suppress_address(connection, recipient, now, report.reason)
    error = without_addresses(report.reason)
    log.warning("email bounced", outbox_id=report.outbox_id, subscriptions_paused=paused, error=error)
    return Bounce(report.outbox_id, recipient, report.reason, paused)


def parse_bounce(data: bytes) -> BounceReport | None:
    """What a report says about an email of ours; None for any other email, and for a report of a mere delay."""
    try:
        report = message_from_bytes(data)
    except RecursionError:  # an attack: a thousand nested parts
        return None
    token = _token(report)
    if token is None:
        return None
    for fields in _fields(report, "feedback-report"):
        if str(fields["Feedback-Type"]).strip().lower() in COMPLAINTS:
            return BounceReport(*token, COMPLAINED, complaint=True)
    for fields in _fields(report, "delivery-status"):
        if str(fields["Action"]).strip().lower() == "failed":
            status = str(fields["Status"]).strip()
            reason = _value(fields, "Diagnostic-Code") or status
            if not status.startswith("5") or NOT_ABOUT_ADDRESS.match(status):
                return BounceReport(*token, reason)
            # The recipient's server may have forwarded the email: then another address has failed.
            names = ("Final-Recipient", "Original-Recipient")
            return BounceReport(*token, reason, frozenset(_value(fields, name).lower() for name in names))
    return None


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
        if kind == "message/rfc822" and isinstance(payload, list) and isinstance(payload[0], Message):
            yield payload[0]
        elif kind == "text/rfc822-headers":
            text = part.get_payload(decode=True)
            yield message_from_string(text.decode("utf-8", "replace") if isinstance(text, bytes) else "")


def _fields(report: Message, kind: str) -> Iterator[Message]:
    """The groups of fields in a report's part of one kind: one about the report, then one for each recipient."""
    for part in report.walk():
        payload = part.get_payload()
        if part.get_content_type() == f"message/{kind}" and isinstance(payload, list):
            yield from (group for group in payload if isinstance(group, Message))


def _value(fields: Message, name: str) -> str:
    """A field's value after its type, as in ``smtp; 550 no such user``, on one line; "" if there is none."""
    value = " ".join(str(fields[name] or "").split())
    printable = "".join(character for character in value if character.isprintable())
    return printable.partition(";")[2].strip()[:MAX_REASON]
