"""Mails as people read them: one function per kind, built apart from sending."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from coinwatch.alerts.rules import Metric
from coinwatch.errors import ConfigurationError, PermanentMailError
from coinwatch.mail.charts import Chart
from coinwatch.mail.links import confirmation_link, manage_link, unsubscribe_link
from coinwatch.mail.mime import Picture, assemble, mailbox, unstructured
from coinwatch.mail.words import (
    count,
    format_price,
    local,
    news,
    place,
    reference_name,
    rule_in_words,
    short_local,
    short_price,
    unit,
    wrapped,
    zone_named,
)
from coinwatch.settings import Settings

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 30  # alerts of one mail; more are on the manage page
NAMED_IN_PREVIEW = 3
LONGEST_LINK = 900  # a header's line has room for 998 characters


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
class _Content:
    """What a mail of one kind says; ``unsubscribe`` only where there is something to leave, ``pictured`` an alert."""

    subject: str
    values: dict[str, Any]
    unsubscribe: str | None = None
    pictured: Mapping[str, Any] | None = None


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
    """The mail of one outbox row; the same row always gives the same mail but for the times inside signed links.

    Raises PermanentMailError when the row cannot become a safe mail (a line break in a header, an unknown kind).
    """
    builders = {
        "alerts": _alerts,
        "digest": _digest,
        "confirmation": _confirmation,
        "expired": _expired,
        "manage": _manage,
    }
    if kind not in builders:
        raise PermanentMailError(f"there is no mail of kind {kind!r}")
    content = builders[kind](settings, payload)
    written_by, sender = _sender(settings.mail_from)
    domain = sender.rpartition("@")[2]
    headers = [
        ("Subject", unstructured(content.subject)),
        ("From", written_by),
        ("To", recipient),
        ("Date", format_datetime(created_at.astimezone(UTC))),
        ("Message-ID", f"<{message_id}@{domain}>"),
        ("Auto-Submitted", "auto-generated"),
    ]
    if content.unsubscribe:
        headers += [
            ("List-Unsubscribe", f"<{content.unsubscribe}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ]
    content_id = f"chart.{message_id}@{domain}"
    png, shown = _chart(content.pictured, chart_of, content_id)
    values = {
        "subject": content.subject,
        "home": settings.public_url,
        "manage_link": manage_link(settings, user_id),
        "unsubscribe_link": content.unsubscribe,
        "chart": shown,
        **content.values,
    }
    data = assemble(
        headers,
        text=_template(f"{kind}.txt").render(values),
        html=_template(f"{kind}.html").render(values),
        boundary=message_id.hex,
        picture=Picture(png, content_id) if png else None,
    )
    return Mail(sender, recipient, data)


def _alerts(settings: Settings, payload: Mapping[str, Any]) -> _Content:
    zone = zone_named(payload.get("timezone", "UTC"))
    ranked = sorted(payload["alerts"], key=_importance, reverse=True)
    fresh = [alert for alert in ranked if not alert["missed"]]
    missed = sorted((alert for alert in ranked if alert["missed"]), key=lambda alert: str(alert["observed_at"]))
    alerts = [_shown(alert, zone) for alert in fresh[:SHOWN]]
    for alert in alerts:
        alert["unsubscribe_link"] = unsubscribe_link(settings, [alert["subscription_id"]])
    if alerts:
        subject = _headline(fresh[0])
        preview = f"Also {_preview(fresh[1:])}" if len(fresh) > 1 else _compared(alerts[0])
        if len(fresh) > 1:
            subject += f", and {count(len(fresh) - 1, 'more alert')}"
    else:
        subject = f"{count(len(missed), 'alert')} you missed while coinwatch stood still"
        preview = _preview(ranked)
    values = {
        "preview": preview,
        "alerts": alerts,
        "more": len(fresh) - len(alerts),
        "missed": [_shown(alert, zone) for alert in missed[-SHOWN:]],
        "more_missed": max(0, len(missed) - SHOWN),
        "held": payload.get("held"),
        "last_today": payload.get("last_today"),
        "zone": zone.key,
    }
    return _Content(subject, values, _unsubscribe_from(settings, fresh + missed), (fresh or [None])[0])


def _digest(settings: Settings, payload: Mapping[str, Any]) -> _Content:
    zone = zone_named(payload.get("timezone", "UTC"))
    ranked = sorted(payload["alerts"], key=_importance, reverse=True)
    shown = [_shown(alert, zone) for alert in ranked[:SHOWN]]
    by_coin = sorted(shown, key=lambda alert: (alert["coin_name"], alert["base"], alert["observed_at"]))
    period = "week" if payload["period"] == "weekly" else "day"
    values = {
        "preview": _preview(ranked),
        "period": period,
        "number": count(len(ranked), "alert"),
        "coins": [(name, list(alerts)) for name, alerts in groupby(by_coin, lambda alert: alert["coin_name"])],
        "more": len(ranked) - len(shown),
        "largest": shown[0],
        "last_today": payload.get("last_today"),
        "zone": zone.key,
    }
    subject = f"Your {period} in prices: {count(len(ranked), 'alert')}"
    return _Content(subject, values, _unsubscribe_from(settings, ranked), ranked[0])


def _confirmation(settings: Settings, payload: Mapping[str, Any]) -> _Content:
    link = confirmation_link(settings, int(payload["subscription_id"]))
    values = {**payload, "place": place(payload), "link": link}
    return _Content(f"Confirm your price alert for {payload['pair']}", values)


def _expired(settings: Settings, payload: Mapping[str, Any]) -> _Content:
    values = {**payload, "place": place(payload), "rule": rule_in_words(payload)}
    link = unsubscribe_link(settings, [int(payload["subscription_id"])])
    return _Content(f"Your alert for {payload['base']}/{payload['quote']} has ended", values, link)


def _manage(settings: Settings, payload: Mapping[str, Any]) -> _Content:
    already = payload["reason"] == "already"
    subject = f"You have this alert already: {payload['pair']}" if already else "Your link to your price alerts"
    return _Content(subject, {**payload, "already": already})


def _shown(alert: Mapping[str, Any], zone: Any) -> dict[str, Any]:
    """The fields of one alert as the templates show them."""
    return {
        **alert,
        "place": place(alert),
        "price": format_price(alert["price"]),
        "reference": format_price(alert["reference"]),
        "level": f"{alert['threshold']:,.10g}" if alert["kind"] == "crosses" else None,
        "unit": unit(alert),
        "change": f"{alert['change_percent']:+,.2f} %",
        "news": news(alert),
        "compared_with": reference_name(alert),
        "rises": alert["change_percent"] > 0,
        "observed": local(alert["observed_at"], zone),
        "observed_short": short_local(alert["observed_at"], zone),
        "referred": local(alert["reference_at"], zone),
        "rule": rule_in_words(alert),
    }


def _importance(alert: Mapping[str, Any]) -> tuple[float, str]:
    """The largest change is the news; of equal ones the latest."""
    return abs(alert["change_percent"]), str(alert["observed_at"])


def _headline(alert: Mapping[str, Any]) -> str:
    return f"{alert['base']} {news(alert)}: {short_price(alert['price'])} {unit(alert)} on {place(alert)}"


def _preview(alerts: list[Mapping[str, Any]]) -> str:
    """What a phone shows under the subject: the news after it."""
    rest = len(alerts) - NAMED_IN_PREVIEW
    named = ", ".join(f"{alert['base']} {news(alert)}" for alert in alerts[:NAMED_IN_PREVIEW])
    return f"{named}, and {rest:,} more" if rest > 0 else named


def _compared(alert: Mapping[str, Any]) -> str:
    return f"{alert['compared_with']}: {alert['reference']} {alert['unit']}. You asked to hear when {alert['rule']}."


def _unsubscribe_from(settings: Settings, alerts: list[Mapping[str, Any]]) -> str:
    """The link that ends the rules of these alerts, the first ones where a header has no room for all."""
    ids = list(dict.fromkeys(int(alert["subscription_id"]) for alert in alerts))
    while len(link := unsubscribe_link(settings, sorted(ids))) > LONGEST_LINK:
        ids = ids[: len(ids) * 9 // 10]
    return link


def _chart(
    alert: Mapping[str, Any] | None, chart_of: ChartOf, content_id: str
) -> tuple[bytes | None, dict[str, str] | None]:
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
    return chart.png, {"content_id": content_id, "alt": alt, "range": f"{lowest} to {highest} {unit(alert)}"}


@lru_cache(8)
def _sender(mail_from: str) -> tuple[str, str]:
    """The From header's value and the address in it."""
    name, address = parseaddr(mail_from)
    if "@" not in address:
        raise ConfigurationError(
            f"COINWATCH_MAIL_FROM is {mail_from!r}; it should read coinwatch <alerts@example.org>."
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
