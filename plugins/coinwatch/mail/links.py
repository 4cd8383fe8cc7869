"""Signed links in emails. Opening one shows a page; only its button acts.

A link names a person by the random key stored with them, never by a row id: after a reset of the database, the same id
may be another person's. It also has the version of the person's links, which changes when they sign out everywhere.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from coinwatch.alerts.users import LinkKey
from coinwatch.clock import utc_now
from coinwatch.errors import InvalidRequest
from coinwatch.settings import Settings

DAY = 24 * 3600
CONFIRMATION_SECONDS = 3 * DAY
UNSUBSCRIBE_SECONDS = 2 * 365 * DAY
MANAGE_SECONDS = 90 * DAY
SNOOZE_SECONDS = 90 * DAY
APPENDED = " .,;:!?)>]}*'\"\N{RIGHT SINGLE QUOTATION MARK}”»"  # what programs and people append to a link in a text
CLOCK_SKEW_SECONDS = 300  # the machine that sends emails may be ahead of the one that shows pages
EXPIRED = {
    "confirm": "Create the alert again to get a new one.",
    "unsubscribe": "Your newest email has one that works.",
    "manage": "Your newest email has one that works.",
    "snooze": "Your newest email has one that works.",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A valid link: whose it is, the subscriptions it is about, and when it was signed (UTC, whole seconds).

    ``link_key`` is None for an unsubscribe link from before links had a key.
    """

    link_key: LinkKey | None
    subscription_ids: tuple[int, ...]
    signed_at: datetime


def confirmation_link(settings: Settings, link_key: LinkKey, subscription_id: int) -> str:
    """Link to the page that confirms all pending subscriptions of an address; valid for 3 days."""
    return _link(settings, "confirm", link_key, [subscription_id])


def unsubscribe_link(settings: Settings, link_key: LinkKey, subscription_ids: Iterable[int]) -> str:
    """Link that ends these subscriptions, also by one click (RFC 8058); valid for 2 years."""
    return _link(settings, "unsubscribe", link_key, subscription_ids)


def snooze_link(settings: Settings, link_key: LinkKey, subscription_id: int) -> str:
    """Link to the page that snoozes or pauses one subscription, without signing in; valid for 90 days."""
    return _link(settings, "snooze", link_key, [subscription_id])


def manage_link(settings: Settings, link_key: LinkKey, signed_at: datetime | None = None) -> str:
    """Link to a subscriber's own page, where they manage their alerts and data; valid for 90 days.

    ``signed_at`` is for a link on a page that was itself opened by a link: it expires as if it came from that email.
    """
    return _link(settings, "manage", link_key, (), signed_at)


def read_confirmation(settings: Settings, token: str) -> tuple[LinkKey, Link]:
    """The person and content of a confirmation link. Raises InvalidRequest if it is forged, incomplete or expired."""
    return _with_key(_read(settings, "confirm", token, CONFIRMATION_SECONDS))


def read_unsubscribe(settings: Settings, token: str) -> Link:
    """The content of an unsubscribe link. Raises InvalidRequest if it is forged, incomplete or expired."""
    return _read(settings, "unsubscribe", token, UNSUBSCRIBE_SECONDS)


def read_snooze(settings: Settings, token: str) -> tuple[LinkKey, Link]:
    """The person and content of a snooze link. Raises InvalidRequest if it is forged, incomplete or expired."""
    return _with_key(_read(settings, "snooze", token, SNOOZE_SECONDS))


def read_manage(settings: Settings, token: str) -> LinkKey:
    """The person of a manage link. Raises InvalidRequest if it is forged, incomplete or expired."""
    return _with_key(_read(settings, "manage", token, MANAGE_SECONDS))[0]


def opens_manage_page(link: Link) -> bool:
    """Whether the manage link in the email that this link came from has not expired yet."""
    return link.link_key is not None and (utc_now() - link.signed_at).total_seconds() <= MANAGE_SECONDS


def _link(
    settings: Settings,
    purpose: str,
    link_key: LinkKey,
    subscription_ids: Iterable[int],
    signed_at: datetime | None = None,
) -> str:
    signer = _signer(settings, purpose, int(signed_at.timestamp()) if signed_at else None)
    token = signer.dumps([link_key.key.hex, link_key.version, *subscription_ids])
    return f"{settings.public_url}/{purpose}/{token}"


def _read(settings: Settings, purpose: str, token: str, max_age: int) -> Link:
    try:
        payload, signed_at = _signer(settings, purpose).loads(token.rstrip(APPENDED), return_timestamp=True)
    except BadData:
        raise InvalidRequest("token", "This link is incomplete. Copy the full link from the email.") from None
    if not -CLOCK_SKEW_SECONDS <= time.time() - signed_at.timestamp() <= max_age:
        raise InvalidRequest("token", f"This link has expired. {EXPIRED[purpose]}")
    if payload and isinstance(payload[0], int):
        return Link(None, tuple(payload), signed_at)
    key, version, *subscription_ids = payload
    return Link(LinkKey(UUID(key), version), tuple(subscription_ids), signed_at)


def _with_key(link: Link) -> tuple[LinkKey, Link]:
    if link.link_key is None:
        raise InvalidRequest("token", "This link is from an earlier version of this site and no longer works.")
    return link.link_key, link


class _SignerAt(TimestampSigner):
    """Signs with a given time instead of the current one."""

    def __init__(self, *args: Any, timestamp: int | None = None, **values: Any) -> None:
        super().__init__(*args, **values)
        self._timestamp = timestamp

    def get_timestamp(self) -> int:
        return int(time.time()) if self._timestamp is None else self._timestamp


def _signer(settings: Settings, purpose: str, timestamp: int | None = None) -> URLSafeTimedSerializer:
    return _signer_with(settings.require("secret_key"), purpose, timestamp)


@lru_cache(16)
def _signer_with(secret: str, purpose: str, timestamp: int | None) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        secret, salt=f"coinwatch.{purpose}", signer=_SignerAt, signer_kwargs={"timestamp": timestamp}
    )
