"""Signed links in mails. Opening one shows a page; only its button acts."""

from functools import lru_cache

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from coinwatch.errors import InvalidRequest
from coinwatch.settings import Settings

DAY = 24 * 3600
CONFIRMATION_SECONDS = 3 * DAY
UNSUBSCRIBE_SECONDS = 2 * 365 * DAY
MANAGE_SECONDS = 90 * DAY
TOO_OLD = {
    "confirm": "Subscribe again to get a new one.",
    "unsubscribe": "The newest mail has one that works.",
    "manage": "The newest mail has one that works.",
}


def confirmation_link(settings: Settings, subscription_id: int) -> str:
    """Where the person behind an address consents to a subscription; good for three days."""
    return f"{settings.public_url}/confirm/{_signer(settings, 'confirm').dumps([subscription_id])}"


def unsubscribe_link(settings: Settings, subscription_ids: list[int]) -> str:
    """Where these subscriptions end, also by one click (RFC 8058); good for two years."""
    return f"{settings.public_url}/unsubscribe/{_signer(settings, 'unsubscribe').dumps(subscription_ids)}"


def manage_link(settings: Settings, user_id: int) -> str:
    """Where a person sees, changes and erases what coinwatch knows of them; good for ninety days."""
    return f"{settings.public_url}/manage/{_signer(settings, 'manage').dumps([user_id])}"


def read_confirmation(settings: Settings, token: str) -> int:
    """The subscription of a confirmation link; InvalidRequest when it is forged, cut off or too old."""
    return _read(settings, "confirm", token, CONFIRMATION_SECONDS)[0]


def read_unsubscribe(settings: Settings, token: str, max_age: int = UNSUBSCRIBE_SECONDS) -> list[int]:
    """The subscriptions of an unsubscribe link; InvalidRequest when it is forged, cut off or too old."""
    return _read(settings, "unsubscribe", token, max_age)


def read_manage(settings: Settings, token: str) -> int:
    """The person of a manage link; InvalidRequest when it is forged, cut off or too old."""
    return _read(settings, "manage", token, MANAGE_SECONDS)[0]


def _read(settings: Settings, purpose: str, token: str, max_age: int) -> list[int]:
    try:
        ids = _signer(settings, purpose).loads(token, max_age=max_age)
    except SignatureExpired:
        raise InvalidRequest("token", f"This link is too old. {TOO_OLD[purpose]}") from None
    except BadData:
        raise InvalidRequest("token", "This link is not complete. Copy the whole link from the mail.") from None
    return [int(subscription_id) for subscription_id in ids]


def _signer(settings: Settings, purpose: str) -> URLSafeTimedSerializer:
    return _signer_with(settings.require("secret_key"), purpose)


@lru_cache(16)
def _signer_with(secret: str, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=f"coinwatch.{purpose}")
