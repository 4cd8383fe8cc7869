"""Mails as people read them, built apart from sending: headers, text, HTML and chart of an outbox row."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import escape

from coinwatch.alerts.rules import Metric
from coinwatch.errors import ConfigurationError
from coinwatch.formatting import format_price
from coinwatch.mail.charts import Chart
from coinwatch.mail.content import CHART, CLOSES, CONFIRM, MANAGE, OPENS, UNSUBSCRIBE, content_of, slot
from coinwatch.mail.formatting import place, unit, wrapped
from coinwatch.mail.links import confirmation_link, manage_link, unsubscribe_link
from coinwatch.mail.mime import Picture, assemble, mailbox, unstructured
from coinwatch.settings import Settings

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_LINK = 900  # a header's line has room for 998 characters
KEPT = 256  # drafts, of about 10 KB each
SHARED = 3  # mails of more alerts than that are hardly the same for two people
SLOTS = re.compile(f"{OPENS}([a-z]+|[0-9]+){CLOSES}")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it goes over the wire: the envelope's two addresses, and headers and body with CRLF line ends."""

    sender: str
    recipient: str
    data: bytes


class ChartOf(Protocol):
    """The chart of an instrument's 24 hours before a moment; None where there is none to show."""

    def __call__(self, instrument_id: int, until: datetime, metric: Metric = "price", /) -> Chart | None: ...


@dataclass(frozen=True, slots=True)
class _Draft:
    """A mail without what is personal: texts are cut at their slots, every second piece is a slot's name.

    Subscriptions are numbered as they come in the payload: ``leaves`` those that the unsubscribe link ends, ``alone``
    those with a link of their own.
    """

    subject: str
    text: list[str]
    html: list[str]
    leaves: tuple[int, ...]
    alone: frozenset[int]
    png: bytes | None


class Writer:
    """Builds the mails of one run. What is told to many is written once: only links, addresses and ids are theirs."""

    def __init__(self, settings: Settings, chart_of: ChartOf) -> None:
        self._settings = settings
        self._chart_of = chart_of
        self._drafts: OrderedDict[str, _Draft] = OrderedDict()

    def build(
        self,
        *,
        kind: str,
        user_id: int,
        recipient: str,
        payload: Mapping[str, Any],
        message_id: UUID,
        created_at: datetime,
    ) -> Mail:
        """The mail of one outbox row; the same row always gives the same mail but for the times inside signed links.

        Raises PermanentEmailError when the row cannot become a safe mail (a line break in a header, an unknown kind).
        """
        settings = self._settings
        impersonal, subscriptions = _without_ids(payload)
        draft = self._draft(kind, impersonal)
        written_by, sender = _sender(settings.email_from)
        domain = sender.rpartition("@")[2]
        content_id = f"chart.{message_id}@{domain}"
        leave = _leaving(settings, [subscriptions[number] for number in draft.leaves])
        headers = [
            ("Subject", draft.subject),
            ("From", written_by),
            ("To", recipient),
            ("Date", format_datetime(created_at.astimezone(UTC))),
            ("Message-ID", f"<{message_id}@{domain}>"),
            ("Auto-Submitted", "auto-generated"),
        ]
        if leave:
            headers += [("List-Unsubscribe", f"<{leave}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")]
        filled = {MANAGE: manage_link(settings, user_id), UNSUBSCRIBE: leave, CHART: content_id}
        if kind == "confirmation":
            filled[CONFIRM] = confirmation_link(settings, subscriptions[0])
        for number in draft.alone:
            only = draft.leaves == (number,)
            filled[str(number)] = leave if only else unsubscribe_link(settings, [subscriptions[number]])
        data = assemble(
            headers,
            text=_fill(draft.text, filled),
            html=_fill(draft.html, {name: escape(value) for name, value in filled.items()}),
            boundary=message_id.hex,
            picture=Picture(draft.png, content_id) if draft.png else None,
        )
        return Mail(sender, recipient, data)

    def _draft(self, kind: str, payload: Mapping[str, Any]) -> _Draft:
        if kind != "alerts" or len(payload.get("alerts", ())) > SHARED:
            return self._write(kind, payload)
        key = repr(payload)
        draft = self._drafts.pop(key, None) or self._write(kind, payload)
        self._drafts[key] = draft
        if len(self._drafts) > KEPT:
            self._drafts.popitem(last=False)
        return draft

    def _write(self, kind: str, payload: Mapping[str, Any]) -> _Draft:
        content = content_of(kind, payload)
        png, shown = _chart(content.pictured, self._chart_of)
        values = {
            "subject": content.subject,
            "home": self._settings.public_url,
            "manage_link": slot(MANAGE),
            "unsubscribe_link": slot(UNSUBSCRIBE) if content.leaves else None,
            "chart": shown,
            **content.values,
        }
        text = SLOTS.split(_template(f"{kind}.txt").render(values))
        html = SLOTS.split(_template(f"{kind}.html").render(values))
        alone = frozenset(int(name) for name in text[1::2] + html[1::2] if name.isdigit())
        return _Draft(unstructured(content.subject), text, html, content.leaves, alone, png)


def _without_ids(payload: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """The payload with its subscriptions numbered from 0, and their ids."""
    numbers: dict[int, int] = {}

    def numbered(values: Mapping[str, Any]) -> dict[str, Any]:
        number = numbers.setdefault(int(values["subscription_id"]), len(numbers))
        return {**values, "alert_id": 0, "subscription_id": number}

    impersonal = numbered(payload) if "subscription_id" in payload else dict(payload)
    if "alerts" in payload:
        impersonal["alerts"] = [numbered(alert) for alert in payload["alerts"]]
    return impersonal, list(numbers)


def _fill(pieces: list[str], filled: Mapping[str, str]) -> str:
    """The text with its slots filled in."""
    whole = pieces.copy()
    whole[1::2] = [filled[name] for name in pieces[1::2]]
    return "".join(whole)


def _leaving(settings: Settings, ids: list[int]) -> str:
    """The link that ends these subscriptions, the first ones where a header has no room for all; "" for none."""
    if not ids:
        return ""
    while len(link := unsubscribe_link(settings, sorted(ids))) > LONGEST_LINK:
        ids = ids[: len(ids) * 9 // 10]
    return link


def _chart(alert: Mapping[str, Any] | None, chart_of: ChartOf) -> tuple[bytes | None, dict[str, str] | None]:
    """The picture of an alert and what the templates say of it."""
    if alert is None:
        return None, None
    until = datetime.fromisoformat(alert["observed_at"])
    price = alert["metric"] == "price"
    chart = chart_of(alert["instrument_id"], until) if price else chart_of(alert["instrument_id"], until, "volume_24h")
    if chart is None:
        return None, None
    pair, lowest, highest = f"{alert['base']}/{alert['quote']}", format_price(chart.lowest), format_price(chart.highest)
    what = pair if price else f"24 h volume of {pair}"
    described = f"{what} on {place(alert)} over the last 24 hours: lowest {lowest}, highest {highest}"
    alt = f"{described}, now {format_price(chart.last)} {unit(alert)}"
    return chart.png, {"content_id": slot(CHART), "alt": alt, "range": f"{lowest} to {highest} {unit(alert)}"}


@lru_cache(8)
def _sender(email_from: str) -> tuple[str, str]:
    """The From header's value and the address in it."""
    name, address = parseaddr(email_from)
    if "@" not in address:
        raise ConfigurationError(
            f"COINWATCH_EMAIL_FROM is {email_from!r}; it should read coinwatch <alerts@example.org>."
        )
    return mailbox(name, address), address


@lru_cache
def _template(name: str) -> Any:
    return _environment().get_template(name)


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["wrapped"] = wrapped
    return environment
