"""An Atom feed (RFC 4287) of what fired on a coin's index."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree

from coinwatch.alerts.fired import FiredAlert
from coinwatch.formatting import format_timestamp
from coinwatch.notifications.alert_text import condition, headline
from coinwatch.time_range import DAY, floor_to
from coinwatch.web.formatting import iso
from coinwatch.web.services.choices import Market

ATOM = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"


def write_feed(market: Market, alerts: Sequence[FiredAlert], public_url: str, now: datetime) -> bytes:
    """The feed of a coin, whose index is ``market``. Ids don't change as long as the public URL doesn't."""
    ElementTree.register_namespace("", ATOM)
    page = f"{public_url}/coins/{quote(market.base, safe='')}"
    address = f"{page}/alerts.atom"
    feed = ElementTree.Element(_name("feed"))
    _add(feed, "id", address)
    _add(feed, "title", f"{market.coin_name} ({market.base}): fired alerts")
    _add(
        feed, "subtitle", "Alerts on simulated prices" if market.simulated else "Alerts on the median of all exchanges"
    )
    _add(feed, "updated", iso(updated_at(alerts, now)))
    _link(feed, "self", address, MEDIA_TYPE)
    _link(feed, "alternate", page, "text/html")
    author = ElementTree.SubElement(feed, _name("author"))
    _add(author, "name", "coinwatch")
    for alert in alerts:
        _add_entry(feed, alert, market, address, page)
    body: bytes = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return body


def updated_at(alerts: Sequence[FiredAlert], now: datetime) -> datetime:
    """When the newest alert fired, in whole seconds; the start of the day if there is none."""
    newest = max((alert.created_at for alert in alerts), default=floor_to(now, DAY))
    return newest.astimezone(UTC).replace(microsecond=0)


def _add_entry(feed: ElementTree.Element, alert: FiredAlert, market: Market, address: str, page: str) -> None:
    payload = asdict(alert) | {"simulated": market.simulated}
    rule = (
        alert.quote,
        alert.kind,
        alert.metric,
        alert.direction,
        alert.threshold,
        alert.window_seconds,
        alert.ladder_percent,
    )
    key = "/".join(str(part) for part in (*rule, alert.observed_at.isoformat()))
    entry = ElementTree.SubElement(feed, _name("entry"))
    _add(entry, "id", uuid5(NAMESPACE_URL, f"{address}#{key}").urn)
    _add(entry, "title", headline(payload))
    _add(entry, "published", iso(alert.observed_at))
    _add(entry, "updated", iso(alert.created_at))
    _link(entry, "alternate", f"{page}?exchange=index:{quote(alert.quote, safe='')}", "text/html")
    text = f"At {format_timestamp(alert.observed_at)}. The rule: {condition(payload)}."
    _add(entry, "summary", text)


def _name(tag: str) -> str:
    return f"{{{ATOM}}}{tag}"


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, _name(tag)).text = text


def _link(parent: ElementTree.Element, rel: str, href: str, media_type: str) -> None:
    ElementTree.SubElement(parent, _name("link"), {"rel": rel, "href": href, "type": media_type})
