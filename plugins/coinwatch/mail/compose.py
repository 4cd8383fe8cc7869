"""Composing emails with the standard library's EmailMessage; mail/delivery.py sends them.

    multipart/alternative
      text/plain
      multipart/related       only with a chart
        text/html
        image/png             inline; the HTML refers to its Content-ID

Most recipients of an evaluation's alerts get the same text. It is rendered and encoded once, with slots for the
recipient's address, ids and links; each email is that message with its slots filled, which takes 0.1 ms instead of 2.
"""

import json
import re
from base64 import encodebytes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from functools import lru_cache
from typing import Any, Protocol, cast

from coinwatch.addresses import parse_sender
from coinwatch.alerts.rules import Metric
from coinwatch.alerts.users import LinkKey
from coinwatch.errors import ConfigurationError, PermanentEmailError
from coinwatch.formatting import format_elapsed, format_since
from coinwatch.mail.bounces import MESSAGE_HEADER, bounce_token, verp_address
from coinwatch.mail.charts import Chart
from coinwatch.mail.content import CONFIRM, MANAGE, SLOT, SNOOZE, UNSUBSCRIBE, Content, content_of, slot
from coinwatch.mail.links import confirmation_link, manage_link, snooze_link, unsubscribe_link
from coinwatch.mail.templating import template
from coinwatch.notifications.alert_text import Alert, exchange_label, format_value, value_unit
from coinwatch.notifications.claims import ClaimedEmail
from coinwatch.settings import Settings
from coinwatch.time_range import DAY

MAX_LINE = 998  # RFC 5322, 2.1.1
MAX_LINK = 900
MAX_DRAFTS = 256  # kept in memory, about 20 KB each
MAX_SKELETONS = 16
MAX_SHARED_ALERTS = 3  # emails with more alerts are hardly ever the same for two recipients
ADDRESS = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")  # printable ASCII without angle brackets: nothing ends the SMTP command
SLOTS = re.compile(rf"{SLOT}-([a-z]*[0-9]*)-")
CHART = b"chart"  # in place of the image while the message is encoded
ENCODED_SLOTS = re.compile(SLOTS.pattern.encode())


@dataclass(frozen=True, slots=True)
class Email:
    """An email ready to send: the envelope's two addresses, and headers and body with CRLF line ends.

    Raises PermanentEmailError if the recipient is not an address that fits into an SMTP command.
    """

    sender: str
    recipient: str
    data: bytes

    def __post_init__(self) -> None:
        if not ADDRESS.fullmatch(self.recipient):
            raise PermanentEmailError(f"{self.recipient!r} is not an email address")


class ChartOf(Protocol):
    """The chart of an instrument's 24 hours before a moment, or None if there is nothing to show."""

    def __call__(self, instrument_id: int, until: datetime, metric: Metric = "price", /) -> Chart | None: ...


@dataclass(frozen=True, slots=True)
class _Draft:
    """A rendered email with slots for its recipient's links.

    Subscriptions are numbered in the order of the payload; ``single_links`` are those that the text ends one by one,
    ``snooze_links`` those that it snoozes. ``encoded`` is the whole message cut at its slots, or None if the links have
    to be filled in before encoding.
    """

    content: Content
    text: str
    html: str
    png: bytes | None
    single_links: frozenset[int]
    snooze_links: frozenset[int]
    encoded: list[bytes] | None


class Composer:
    """Composes the emails of one run."""

    def __init__(self, settings: Settings, chart_of: ChartOf) -> None:
        try:
            sender = parse_sender(settings.email_from)
        except ValueError as error:
            raise ConfigurationError(f"COINWATCH_EMAIL_FROM is {settings.email_from!r}. {error}") from None
        self._settings = settings
        self._chart_of = chart_of
        self._address = sender.address
        self._from = Address(sender.name, addr_spec=sender.address)
        self._domain = sender.address.rpartition("@")[2]
        self._shared_draft = lru_cache(MAX_DRAFTS)(self._draft)
        self._shared_skeleton = lru_cache(MAX_SKELETONS)(self._skeleton)

    def compose(self, claimed: ClaimedEmail) -> Email:
        """The email of an outbox row; the same row always gives the same content and Message-ID.

        Raises PermanentEmailError if the row cannot become a safe email: a line break in a header, an unknown kind.
        """
        payload, subscription_ids = _number_subscriptions(claimed.payload)
        is_shared = claimed.kind == "alerts" and len(payload["alerts"]) <= MAX_SHARED_ALERTS
        draft = (self._shared_draft if is_shared else self._draft)(
            claimed.kind, json.dumps(payload), claimed.created_at
        )
        values = self._links(claimed, draft, subscription_ids)
        encoded = draft.encoded or self._encode(
            draft.content, claimed.created_at, _fill(draft.text, values), _fill(draft.html, values), draft.png
        )
        token = bounce_token(claimed.id, claimed.message_id)
        bounce_address = self._settings.bounce_address
        sender = verp_address(bounce_address, token) if bounce_address else self._address
        values["to"], values["token"], values["id"] = claimed.recipient, token, str(claimed.message_id)
        parts = encoded.copy()
        parts[1::2] = [values[name.decode()].encode("ascii") for name in encoded[1::2]]
        return Email(sender, claimed.recipient, b"".join(parts))

    def _links(self, claimed: ClaimedEmail, draft: _Draft, subscription_ids: Sequence[int]) -> dict[str, str]:
        """The recipient's own links, by the names of their slots."""
        settings, subscriptions = self._settings, draft.content.subscriptions
        link_key = LinkKey(claimed.link_key, claimed.link_version)
        links = {MANAGE: manage_link(settings, link_key)}
        if subscriptions:
            ended = [subscription_ids[number] for number in subscriptions]
            links[UNSUBSCRIBE] = _unsubscribe_all(settings, link_key, ended)
        if claimed.kind == "confirmation":
            links[CONFIRM] = confirmation_link(settings, link_key, subscription_ids[0])
        for number in draft.single_links:
            only = subscriptions == (number,)
            single = [subscription_ids[number]]
            links[str(number)] = links[UNSUBSCRIBE] if only else unsubscribe_link(settings, link_key, single)
        for number in draft.snooze_links:
            links[f"{SNOOZE}{number}"] = snooze_link(settings, link_key, subscription_ids[number])
        return links

    def _draft(self, kind: str, payload: str, created_at: datetime) -> _Draft:
        """Render the content; ``payload`` is JSON, so that equal payloads are rendered once."""
        content = content_of(kind, json.loads(payload))
        png, chart = self._chart(content.charted)
        values = {
            "subject": content.subject,
            "home": self._settings.public_url,
            "manage_link": slot(MANAGE),
            "unsubscribe_link": slot(UNSUBSCRIBE) if content.subscriptions else None,
            "chart": chart,
            **content.values,
        }
        text = template(f"{kind}.txt").render(values)
        # With character references the HTML is ASCII, and needs no transfer encoding.
        html = template(f"{kind}.html").render(values).encode("ascii", "xmlcharrefreplace").decode()
        names = set(SLOTS.findall(text + html))
        single_links = frozenset(int(name) for name in names if name.isdigit())
        snooze_links = frozenset(int(name.removeprefix(SNOOZE)) for name in names if name.startswith(SNOOZE))
        # Links may be filled into 7-bit text only: quoted-printable would have to encode them and break their lines.
        encoded = self._encode(content, created_at, text, html, png) if _is_7bit(text) and _is_7bit(html) else None
        return _Draft(content, text, html, png, single_links, snooze_links, encoded)

    def _encode(self, content: Content, created_at: datetime, text: str, html: str, png: bytes | None) -> list[bytes]:
        """The encoded message, cut at its slots: every second piece is a slot's name."""
        if not content.subject.isprintable():
            raise PermanentEmailError(f"a header has a line break or control character in it: {content.subject!r}")
        ends_subscriptions = bool(content.subscriptions)
        if not _is_7bit(text) or not _is_7bit(html):
            message = self._message(content.subject, created_at, text, html, png, ends_subscriptions)
            return ENCODED_SLOTS.split(message.as_bytes())
        values = {
            b"subject": default.fold("Subject", content.subject).rstrip("\n"),
            b"text": text.rstrip("\n"),
            b"html": html.rstrip("\n"),
            b"chart": encodebytes(png or b"").decode().rstrip(),
        }
        pieces = self._shared_skeleton(created_at, png is not None, ends_subscriptions).copy()
        pieces[1::2] = [
            values[name].replace("\n", "\r\n").encode() if name in values else slot(name.decode()).encode()
            for name in pieces[1::2]
        ]
        return ENCODED_SLOTS.split(b"".join(pieces))

    def _skeleton(self, created_at: datetime, has_chart: bool, ends_subscriptions: bool) -> list[bytes]:
        """A 7-bit message with slots for what differs between drafts: encoding it once saves 2 ms for each draft."""
        png = CHART if has_chart else None
        message = self._message(slot("subject"), created_at, slot("text"), slot("html"), png, ends_subscriptions)
        encoded = message.as_bytes().replace(encodebytes(CHART).rstrip(), slot("chart").encode())
        subject = slot("subject").encode()
        return ENCODED_SLOTS.split(encoded.replace(b"Subject: " + subject, subject))

    def _message(
        self,
        subject: str,
        created_at: datetime,
        text: str,
        html: str,
        png: bytes | None,
        ends_subscriptions: bool,
    ) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["Subject"] = subject
        message["From"] = self._from
        message["To"] = slot("to")
        message["Date"] = created_at.astimezone(UTC)
        message["Message-ID"] = f"<{slot('id')}@{self._domain}>"
        message[MESSAGE_HEADER] = slot("token")
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "OOF, AutoReply"  # Exchange ignores the header above
        if ends_subscriptions:
            message["List-Unsubscribe"] = f"<{slot(UNSUBSCRIBE)}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(text, cte="7bit" if _is_7bit(text) else "quoted-printable")
        message.add_alternative(html, subtype="html", cte="7bit" if _is_7bit(html) else "quoted-printable")
        if png is not None:
            _, html_part = message.iter_parts()
            cast("EmailMessage", html_part).add_related(
                png, "image", "png", cid=f"<{self._content_id}>", disposition="inline", filename="chart.png"
            )
        return message

    @property
    def _content_id(self) -> str:
        return f"chart@{self._domain}"

    def _chart(self, alert: Alert | None) -> tuple[bytes | None, dict[str, str] | None]:
        """The chart of an alert as a PNG, and what the templates say about it."""
        if alert is None:
            return None, None
        until = datetime.fromisoformat(alert["observed_at"])
        chart = self._chart_of(alert["instrument_id"], until, alert["metric"])
        if chart is None:
            return None, None
        lowest, highest, last = (format_value(alert, value) for value in (chart.lowest, chart.highest, chart.last))
        unit, pair = value_unit(alert), f"{alert['base']}/{alert['quote']}"
        what = pair if alert["metric"] == "price" else f"24 h volume of {pair}"
        begins_later = format_since(chart.first_at, until - DAY, until) is not None
        period = f"last {format_elapsed(until - chart.first_at) if begins_later else '24 hours'}"
        return chart.png, {
            "content_id": self._content_id,
            "alt": f"{what} on {exchange_label(alert)} over the {period}: lowest {lowest}, highest {highest}, "
            f"now {last} {unit}",
            "period": period.capitalize(),
            "range": f"{lowest} to {highest} {unit}",
        }


def _number_subscriptions(payload: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """The payload with its subscriptions numbered from 0 and no alert ids, and the subscriptions' ids."""
    numbers: dict[int, int] = {}

    def numbered(values: Mapping[str, Any]) -> dict[str, Any]:
        number = numbers.setdefault(int(values["subscription_id"]), len(numbers))
        return {**values, "alert_id": 0, "subscription_id": number}

    result = numbered(payload) if "subscription_id" in payload else dict(payload)
    if "alerts" in payload:
        result["alerts"] = [numbered(alert) for alert in payload["alerts"]]
    return result, list(numbers)


def _unsubscribe_all(settings: Settings, link_key: LinkKey, subscription_ids: list[int]) -> str:
    """The link that ends these subscriptions, or the first ones if the link would not fit into a header line."""
    while len(link := unsubscribe_link(settings, link_key, sorted(subscription_ids))) > MAX_LINK:
        subscription_ids = subscription_ids[: len(subscription_ids) * 9 // 10]
    return link


def _fill(text: str, values: Mapping[str, str]) -> str:
    return SLOTS.sub(lambda found: values[found[1]], text)


def _is_7bit(text: str) -> bool:
    """Whether the text can be sent as it is, also after its slots are filled."""
    plain = text.isascii() and not {"\0", "\r"} & set(text)
    return plain and all(len(line) + MAX_LINK * line.count(SLOT) <= MAX_LINE for line in text.splitlines())
