"""Signed links in emails. Opening one shows a page; only its button acts."""

from functools import lru_cache

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from coinwatch.errors import InvalidRequest
from coinwatch.settings import Settings

DAY = 24 * 3600
CONFIRMATION_SECONDS = 3 * DAY
UNSUBSCRIBE_SECONDS = 2 * 365 * DAY
MANAGE_SECONDS = 90 * DAY
EXPIRED = {
    "confirm": "Create the alert again to get a new one.",
    "unsubscribe": "Your newest email has one that works.",
    "manage": "Your newest email has one that works.",
}


def confirmation_link(settings: Settings, subscription_id: int) -> str:
    """Link to the page that confirms a subscription; valid for 3 days."""
    return f"{settings.public_url}/confirm/{_signer(settings, 'confirm').dumps([subscription_id])}"


def unsubscribe_link(settings: Settings, subscription_ids: list[int]) -> str:
    """Link that ends these subscriptions, also by one click (RFC 8058); valid for 2 years."""
    return f"{settings.public_url}/unsubscribe/{_signer(settings, 'unsubscribe').dumps(subscription_ids)}"


def manage_link(settings: Settings, user_id: int) -> str:
    """Link to a subscriber's own page, where they manage their alerts and data; valid for 90 days."""
    return f"{settings.public_url}/manage/{_signer(settings, 'manage').dumps([user_id])}"


def read_confirmation(settings: Settings, token: str) -> int:
    """The subscription of a confirmation link. Raises InvalidRequest if it is forged, incomplete or expired."""
    return _read(settings, "confirm", token, CONFIRMATION_SECONDS)[0]


def read_unsubscribe(settings: Settings, token: str, max_age: int = UNSUBSCRIBE_SECONDS) -> list[int]:
    """The subscriptions of an unsubscribe link. Raises InvalidRequest if it is forged, incomplete or expired."""
    return _read(settings, "unsubscribe", token, max_age)


def read_manage(settings: Settings, token: str) -> int:
    """The user of a manage link. Raises InvalidRequest if it is forged, incomplete or expired."""
    return _read(settings, "manage", token, MANAGE_SECONDS)[0]


def _read(settings: Settings, purpose: str, token: str, max_age: int) -> list[int]:
    try:
        ids = _signer(settings, purpose).loads(token, max_age=max_age)
    except SignatureExpired:
        raise InvalidRequest("token", f"This link has expired. {EXPIRED[purpose]}") from None
    except BadData:
        raise InvalidRequest("token", "This link is incomplete. Copy the full link from the email.") from None
    return [int(subscription_id) for subscription_id in ids]


def _signer(settings: Settings, purpose: str) -> URLSafeTimedSerializer:
    return _signer_with(settings.require("secret_key"), purpose)


@lru_cache(16)
def _signer_with(secret: str, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=f"coinwatch.{purpose}")
