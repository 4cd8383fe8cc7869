"""Excerpts of exchanges' responses and of libraries' errors, for our error messages."""

import re
from collections.abc import Collection
from urllib.parse import quote, quote_plus, urlsplit

MAX_LENGTH = 120
QUERY = re.compile(r"\?\S*=\S*")
USER_INFO = re.compile(r"(?<=://)[^\s/@]*@")


def excerpt(text: str, secrets: Collection[str] = (), max_length: int = MAX_LENGTH) -> str:
    """The start of the text as one line of printable characters.

    Without ``secrets``, however a URL encodes them, and without the query and the user of any URL: both may hold keys.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret)):
            text = text.replace(form, "***")
    text = USER_INFO.sub("", QUERY.sub("", text))
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:max_length]


def secrets_of(api_key: str, base_url: str | None) -> list[str]:
    """The parts of an exchange's settings that no message may contain: the key, and the user of the base URL."""
    parts = urlsplit(base_url or "")
    return [secret for secret in (api_key, parts.username, parts.password) if secret]
