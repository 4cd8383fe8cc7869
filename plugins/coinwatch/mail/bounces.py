"""Mails that come back: what a server that had taken a mail reports later, to the From address.

Delivery reports (RFC 3464) and readers' complaints (RFC 5965). Anybody can write to the From address, so a report is
believed only when it returns the headers of a mail of ours: the random number in them is known to nobody but the
servers on its way and its reader. It is read from the MIME boundary, because some providers (Amazon SES) put a
Message-ID of their own in the place of ours.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from email.utils import parseaddr
from uuid import UUID

import structlog
from sqlalchemy import Engine

from coinwatch.database import Lock, acquire_lock, statement, transaction
from coinwatch.mail.connection import ABOUT_US
from coinwatch.notifications.suppression import COMPLAINED, suppress_address

OUR_BOUNDARY = re.compile(r"=_([0-9a-f]{32})_a")  # as mail/mime.py writes it
COMPLAINTS = ("abuse", "fraud", "opt-out")
LONGEST_REASON = 300

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Report:
    """That a mail did not arrive, or was not wanted.

    ``to_blame`` is whether its address takes no mail, or wants none, rather than this mail or a server being at fault.
    """

    message_id: UUID
    recipient: str
    reason: str
    to_blame: bool


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail of the outbox that came back. ``resting``: how many rules rest now; None where no address is to blame."""

    outbox_id: int
    recipient: str
    reason: str
    resting: int | None


def parse_bounce(data: bytes) -> Report | None:
    """What a mail reports of a mail of ours that came back; None for any other mail, and for reports of mere delay."""
    try:
        report = message_from_bytes(data)
    except RecursionError:  # a thousand boxes in boxes: meant to hurt
        return None
    returned = next(_returned_headers(report), None)
    boundary = OUR_BOUNDARY.search(str(returned["Content-Type"])) if returned is not None else None
    if returned is None or boundary is None:
        return None
    message_id, recipient = UUID(boundary[1]), parseaddr(str(returned["To"]))[1]
    if any(str(fields["Feedback-Type"]).strip().lower() in COMPLAINTS for fields in _fields(report, "feedback-report")):
        return Report(message_id, recipient, COMPLAINED, to_blame=True)
    for fields in _fields(report, "delivery-status"):
        if str(fields["Action"]).strip().lower() == "failed":
            status = str(fields["Status"]).strip()
            named = {_value(fields, name).lower() for name in ("Final-Recipient", "Original-Recipient")}
            # Another address is one that the reader's own server forwards to: that is not ours to switch off.
            to_blame = status.startswith("5") and not ABOUT_US.match(status) and recipient.lower() in named
            return Report(message_id, recipient, _value(fields, "Diagnostic-Code") or status, to_blame)
    return None


def process_bounce(engine: Engine, data: bytes, now: datetime) -> Bounce | None:
    """Mark the mail that came back as failed, and disable its address where that is to blame.

    None, and nothing done, when ``data`` reports of no mail of ours, or of one that it was reported of before. Raises
    DatabaseError.
    """
    report = parse_bounce(data)
    if report is None:
        return None
    with transaction(engine) as connection:
        if report.to_blame:
            acquire_lock(connection, Lock.EVALUATION)
        came_back = {
            "recipient": report.recipient,
            "message_id": report.message_id,
            "error": f"came back: {report.reason}",
            "now": now,
        }
        outbox_id = connection.execute(statement("notifications/outbox/mark_bounced"), came_back).scalar_one_or_none()
        if outbox_id is None:
            return None
        resting = suppress_address(connection, report.recipient, now, report.reason) if report.to_blame else None
    log.error("mail came back", outbox_id=outbox_id, error=report.reason, rules=resting)
    return Bounce(outbox_id, report.recipient, report.reason, resting)


def _returned_headers(report: Message) -> Iterator[Message]:
    """The headers of the mails that a report gives back."""
    for part in report.walk():
        kind, payload = part.get_content_type(), part.get_payload()
        if kind == "message/rfc822" and isinstance(payload, list) and isinstance(payload[0], Message):
            yield payload[0]
        elif kind == "text/rfc822-headers":
            text = part.get_payload(decode=True)
            yield message_from_string(text.decode("utf-8", "replace") if isinstance(text, bytes) else "")


def _fields(report: Message, kind: str) -> Iterator[Message]:
    """The groups of fields in a report's part of one kind: one of the report, then one a recipient."""
    for part in report.walk():
        payload = part.get_payload()
        if part.get_content_type() == f"message/{kind}" and isinstance(payload, list):
            yield from (group for group in payload if isinstance(group, Message))


def _value(fields: Message, name: str) -> str:
    """A field's value behind its type, as in ``smtp; 550 no such user``, on one line; "" where there is none."""
    value = " ".join(str(fields[name] or "").split())
    printable = "".join(character for character in value if character.isprintable())
    return printable.partition(";")[2].strip()[:LONGEST_REASON]
