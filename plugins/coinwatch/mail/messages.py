"""Mails as people read them: one function per kind, built apart from sending."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from coinwatch.alerts.rules import Rule, describe, duration
from coinwatch.errors import ConfigurationError, PermanentMailError
from coinwatch.mail.links import confirmation_link, unsubscribe_link
from coinwatch.settings import Settings

TEMPLATES = Path(__file__).parent / "templates"
# Long lines, because some mailers do not find a link that begins on a folded line; seven bits, because not
# every relay takes eight.
POLICY = SMTP.clone(max_line_length=998, cte_type="7bit")

# What the reference of each kind is called beside its value.
BEFORE = {
    "change_since_last": "Before",
    "change_over_window": "Before",
    "deviation_from_average": "Average",
    "crosses": "Before",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it goes over the wire: the envelope's two addresses, and headers and body with CRLF line ends."""

    sender: str
    recipient: str
    data: bytes


# The PNG of an instrument's 24 hours before a moment; None where there is none to show.
ChartOf = Callable[[int, datetime], bytes | None]


def build_mail(
    settings: Settings,
    *,
    kind: str,
    user_id: int,
    recipient: str,
    payload: Mapping[str, Any],
    message_id: UUID,
    created_at: datetime,
    chart_of: ChartOf,
) -> Mail:
    """The mail of one outbox row; the same row always gives the same mail.

    Raises PermanentMailError when the row cannot become a safe mail (a line break in a header, an unknown kind).
    """
    builders = {"alerts": _alerts, "confirmation": _confirmation, "expired": _expired}
    if kind not in builders:
        raise PermanentMailError(f"there is no mail of kind {kind!r}")
    subject, link, values = builders[kind](settings, payload)
    name, sender = parseaddr(settings.mail_from)
    if "@" not in sender:
        raise ConfigurationError(
            f"COINWATCH_MAIL_FROM is {settings.mail_from!r}; it should read coinwatch <alerts@example.org>."
        )
    message = EmailMessage(policy=POLICY)
    message["Subject"] = _header(subject)
    message["From"] = Address(display_name=_header(name), addr_spec=_header(sender))
    message["To"] = Address(addr_spec=_header(recipient))
    message["Date"] = created_at.astimezone(UTC)
    message["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if link:
        message["List-Unsubscribe"] = f"<{link}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(_render(f"{kind}.txt", values))
    message.add_alternative(_render(f"{kind}.html", values), subtype="html")
    return Mail(sender, recipient, message.as_bytes())


def format_price(price: float) -> str:
    """A price with six significant digits or two decimals, whichever tells more: 68,923.67 or 0.00001234."""
    if price >= 1000:
        return f"{price:,.2f}"
    return f"{price:.6g}" if price >= 1e-4 else f"{price:.12f}".rstrip("0")


def _alerts(settings: Settings, payload: Mapping[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    zone = _zone(payload.get("timezone", "UTC"))
    everything = [_alert(alert, zone) for alert in payload["alerts"]]
    alerts = [alert for alert in everything if not alert["missed"]]
    missed = [alert for alert in everything if alert["missed"]]
    first = max(alerts, key=lambda alert: abs(alert["change_percent"]))
    subject = f"{first['base']} {first['news']}: {first['price']} {first['unit']} on {first['place']}"
    if len(alerts) > 1:
        subject += f", and {len(alerts) - 1} more alert{'s' if len(alerts) > 2 else ''}"
    ids = sorted({int(alert["subscription_id"]) for alert in everything})
    for alert in alerts:
        alert["unsubscribe_link"] = unsubscribe_link(settings, [alert["subscription_id"]])
    link = unsubscribe_link(settings, ids)
    values = {"subject": subject, "alerts": alerts, "missed": missed, "unsubscribe_link": link}
    return subject, link, values | {"home": settings.public_url}


def _alert(alert: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """The fields of one alert as the templates show them."""
    return {
        **alert,
        "place": "the index of exchanges" if alert["exchange"] == "index" else alert["exchange_name"],
        "price": format_price(alert["price"]),
        "reference": format_price(alert["reference"]),
        "unit": alert["quote"] if alert["metric"] == "price" else alert["base"],
        "change": f"{alert['change_percent']:+.2f} %",
        "news": _news(alert),
        "before": BEFORE[alert["kind"]],
        "rises": alert["change_percent"] > 0,
        "observed": _local(alert["observed_at"], zone),
        "referred": _local(alert["reference_at"], zone),
        "rule": _rule(alert),
    }


def _confirmation(settings: Settings, payload: Mapping[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    subject = f"Confirm your price alert for {payload['pair']}"
    values = {
        **payload,
        "subject": subject,
        "rule": payload["condition"],
        "link": confirmation_link(settings, int(payload["subscription_id"])),
        "home": settings.public_url,
    }
    return subject, None, values


def _expired(settings: Settings, payload: Mapping[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    subject = f"Your alert for {payload['base']}/{payload['quote']} has ended"
    values = {**payload, "subject": subject, "rule": _rule(payload), "home": settings.public_url}
    return subject, unsubscribe_link(settings, [int(payload["subscription_id"])]), values


def _news(alert: Mapping[str, Any]) -> str:
    """What happened, for the subject: "+5.20 % in 10 minutes", "crossed 70,000", "volume -60.00 %"."""
    what = "volume " if alert["metric"] == "volume_24h" else ""
    if alert["kind"] == "crosses":
        return f"{what}{'rose' if alert['change_percent'] > 0 else 'fell'} past {format_price(alert['threshold'])}"
    change = f"{what}{alert['change_percent']:+.2f} %"
    if alert["kind"] == "change_over_window":
        return f"{change} in {duration(alert['window_seconds'])}"
    if alert["kind"] == "deviation_from_average":
        return f"{change} from its {duration(alert['window_seconds'])} average"
    return change


def _rule(alert: Mapping[str, Any]) -> str:
    rule = Rule(alert["kind"], alert["threshold"], alert["direction"], alert["metric"], alert["window_seconds"])
    return describe(rule, alert["quote"], alert["base"])


def _header(value: str) -> str:
    """A header value as it is; PermanentMailError when it could start another header."""
    if not value.isprintable():
        raise PermanentMailError(f"a header value has a line break or control character in it: {value!r}")
    return value


def _local(moment: str | None, zone: ZoneInfo) -> str:
    if moment is None:
        return ""
    return datetime.fromisoformat(moment).astimezone(zone).strftime("%d %b %Y, %H:%M:%S %Z")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _render(template: str, values: Mapping[str, Any]) -> str:
    return _environment().get_template(template).render(values)


@lru_cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
